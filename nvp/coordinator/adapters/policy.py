"""A policy that writes a weight for each term: an embedding, a GRU and a linear head over buckets.

A prompt is one token per term, the bucket of how hard it pulls; a response is at most one token per term, the bucket of
the weight that it is to get. EOS ends a response early: PAD fills it up, and the terms left out keep their weights.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

Carry = Float[Array, "h"]


class Policy(nnx.Module):
    """From all tokens before to logits of the next one."""

    def __init__(self, buckets: int, hidden: int, *, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Embed(buckets + 2, hidden, rngs=rngs)
        self.cell = nnx.GRUCell(hidden, hidden, rngs=rngs)
        self.head = nnx.Linear(hidden, buckets + 1, rngs=rngs)

    def __call__(self, carry: Carry, token: Int[Array, ""]) -> tuple[Carry, Float[Array, "v"]]:
        """Read one token."""
        carry, out = self.cell(carry, self.embed(token))
        return carry, self.head(out)


@cache
def shape_of(buckets: int, hidden: int) -> Any:
    """What turns parameters back into a policy."""
    return nnx.graphdef(nnx.eval_shape(lambda: Policy(buckets, hidden, rngs=nnx.Rngs(0))))


def parameters(buckets: int, hidden: int, seed: int) -> Any:
    """Fresh parameters."""
    return nnx.state(Policy(buckets, hidden, rngs=nnx.Rngs(seed)))


def read(policy: Policy, prompt: Int[Array, "t"]) -> tuple[Carry, Float[Array, "v"]]:
    """The state after a prompt, and logits of the first token of the response."""
    start = jnp.zeros(policy.cell.hidden_features, jnp.float32)
    carry, logits = jax.lax.scan(policy, start, prompt)
    return carry, logits[-1]


def respond(
    policy: Policy, prompt: Int[Array, "t"], key: PRNGKeyArray, *, buckets: int, greedy: bool = False
) -> Int[Array, "t"]:
    """A response, sampled or, token by token, the likeliest."""
    eos, pad = buckets, buckets + 1

    def write(state: tuple[Array, Array, Array], key: PRNGKeyArray) -> tuple[tuple[Array, Array, Array], Array]:
        carry, logits, ended = state
        drawn = jnp.argmax(logits) if greedy else jax.random.categorical(key, logits)
        token = jnp.where(ended, pad, drawn.astype(jnp.int32))
        return (*policy(carry, token), ended | (token == eos)), token

    start = (*read(policy, prompt), jnp.asarray(False))
    _, tokens = jax.lax.scan(write, start, jax.random.split(key, prompt.shape[0]))
    return tokens


def log_probabilities(policy: Policy, prompt: Int[Array, "t"], response: Int[Array, "t"]) -> Float[Array, "t"]:
    """log π of each token of a response, given all before it; 0 on padding."""
    carry, first = read(policy, prompt)
    _, later = jax.lax.scan(policy, carry, response[:-1])
    logits = jnp.concatenate([first[None], later])
    real = mask_of(response, logits.shape[-1])
    taken = jnp.where(real, response, 0)
    chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), taken[:, None], axis=-1)[:, 0]
    return jnp.where(real, chosen, 0.0)


def mask_of(response: Int[Array, "*t"], vocabulary: int) -> Bool[Array, "*t"]:
    """The tokens that were chosen: from the first one to EOS, which counts."""
    return response < vocabulary
