"""GSPO-token: a small policy learns, while η relaxes, which weights make every term pull as hard as `target`.

After each step the terms' norms are a prompt, and a group of responses to it is drawn from the policy as it is then,
π_old. With rewards r_{i,t} = −|w_{i,t} − ŵ_t|, ŵ = clip(target/‖∇F‖), and their z-scores Â_{i,t} within the group, the
policy ascends

    J = mean_i 1/|y_i| Σ_t min(s_{i,t}Â_{i,t}, clip(s_{i,t}, 1 − ε₁, 1 + ε₂)Â_{i,t}),
    s_i = exp(1/|y_i| Σ_t log π_t/π_old,t),   s_{i,t} = sg[s_i]·π_t/sg[π_t]

over the tokens of the response alone, EOS included. All advantages come from the group, none from a critic, and there
is no reference policy to be drawn to. What is learnt is known in closed form (`closed_form`): the point of this adapter
is to show what learning it costs.

Zheng et al., "Group sequence policy optimization", arXiv 2507.18071 (2025), equations 5, 7 and 13; ε as there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray

from nvp.coordinator.adapters.adapter import Adapter, Seen
from nvp.coordinator.adapters.balance import finite, within
from nvp.coordinator.adapters.closed_form import clipped_ratio, decoded
from nvp.coordinator.adapters.policy import log_probabilities, mask_of, parameters, respond, shape_of
from nvp.coordinator.problem import Problem
from nvp.errors import FieldError

STEEPEST = 4.0
"""Norms are told apart up to this multiple of the target."""
SPREAD = 1e-8


@dataclass(frozen=True, slots=True, kw_only=True)
class GspoConfig:
    """Sizes and rates of the policy and its learning."""

    target: float = 1.0
    floor: float = 0.05
    ceiling: float = 4.0
    buckets: int = 16
    hidden: int = 64
    # responses to each prompt, and how many of the last prompts are answered at each update
    group: int = 4
    batch: int = 2
    # ascents of J from one set of responses: beyond the first, π is no longer π_old
    epochs: int = 2
    learning_rate: float = 5e-4
    # ε₁ and ε₂
    clip: tuple[float, float] = (3e-4, 4e-4)
    # how far the weights go towards the likeliest response, and every how many steps
    blend: float = 0.35
    every: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        within(self.target, self.floor, self.ceiling)
        sizes = (self.hidden, self.group - 1, self.batch, self.epochs, self.every)
        if not (self.floor > 0 and self.buckets >= 4 and min(sizes) >= 1 and 0 < self.blend <= 1):
            raise FieldError(
                "BAD_ADAPTER",
                "expected floor > 0, buckets >= 4, group >= 2, 0 < blend <= 1 and other sizes >= 1, "
                f"got {self.floor}, {self.buckets}, {self.group}, {self.blend} and {sizes}.",
                next_step="Leave them out for the defaults.",
            )


class Memory(NamedTuple):
    """Parameters and Adam's moments, the norms of the last prompts, the steps so far, and the last mean reward."""

    parameters: Any
    moments: Any
    norms: Float[Array, "b t"]
    steps: Int[Array, ""]
    reward: Float[Array, ""]


class Answers(NamedTuple):
    """Responses of π_old to one prompt, with what they are worth."""

    prompt: Int[Array, "t"]
    tokens: Int[Array, "g t"]
    old: Float[Array, "g t"]
    advantages: Float[Array, "g t"]
    rewards: Float[Array, "g"]


@cache
def gspo(config: GspoConfig = GspoConfig()) -> Adapter:
    """The adapter of these settings."""
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(config.learning_rate))
    shape = shape_of(config.buckets, config.hidden)

    def init(problem: Problem, seen: Seen) -> Memory:
        fresh = parameters(config.buckets, config.hidden, config.seed)
        norms = jnp.tile(finite(seen.norms).astype(jnp.float32)[None], (config.batch, 1))
        return Memory(fresh, optimizer.init(fresh), norms, jnp.zeros((), jnp.int32), jnp.zeros((), jnp.float32))

    def update(
        seen: Seen, memory: Memory, weights: Float[Array, "t"], key: PRNGKeyArray
    ) -> tuple[Float[Array, "t"], Memory]:
        here = finite(seen.norms).astype(jnp.float32)
        norms = jnp.concatenate([memory.norms[1:], here[None]])
        current = weights.astype(jnp.float32)
        keys = jax.random.split(key, (config.batch, config.group))
        old = nnx.merge(shape, memory.parameters)
        answers = jax.vmap(lambda prompt, keys: answer(old, config, prompt, current, keys))(norms, keys)

        def ascend(state: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            learnt, moments = state
            slope = jax.grad(lambda at: -objective(nnx.merge(shape, at), config, answers))(learnt)
            # the library mixes kinds of numbers
            with jax.numpy_dtype_promotion("standard"):
                change, moments = optimizer.update(slope, moments, learnt)
                return (optax.apply_updates(learnt, change), moments), None

        (learnt, moments), _ = jax.lax.scan(ascend, (memory.parameters, memory.moments), None, length=config.epochs)
        likeliest = respond(
            nnx.merge(shape, learnt), prompt_of(here, config), keys[0, 0], buckets=config.buckets, greedy=True
        )
        moved = weights + config.blend * (told(likeliest, current, config).astype(weights.dtype) - weights)
        due = memory.steps % config.every == 0
        reward = answers.rewards.mean()
        return jnp.where(due, moved, weights), Memory(learnt, moments, norms, memory.steps + 1, reward)

    return Adapter(init, update)


def prompt_of(norms: Float[Array, "t"], config: GspoConfig) -> Int[Array, "t"]:
    """The bucket of each norm, from 0 to `STEEPEST` targets."""
    share = jnp.minimum(norms / config.target, STEEPEST) / STEEPEST
    return jnp.round(share * (config.buckets - 1)).astype(jnp.int32)


def told(tokens: Int[Array, "t"], current: Float[Array, "t"], config: GspoConfig) -> Float[Array, "t"]:
    """The weights that a response asks for; a term that it leaves out keeps its own."""
    asked = decoded(tokens, buckets=config.buckets, floor=config.floor, ceiling=config.ceiling)
    return jnp.where(tokens < config.buckets, asked, current)


def answer(
    policy: Any, config: GspoConfig, norms: Float[Array, "t"], current: Float[Array, "t"], keys: Key[Array, "g"]
) -> Answers:
    """A group of responses to one prompt."""
    prompt = prompt_of(norms, config)
    tokens = jax.vmap(lambda key: respond(policy, prompt, key, buckets=config.buckets))(keys)
    old = jax.vmap(lambda response: log_probabilities(policy, prompt, response))(tokens)
    wanted = clipped_ratio(norms, target=config.target, floor=config.floor, ceiling=config.ceiling)
    errors = jax.vmap(lambda response: jnp.abs(told(response, current, config) - wanted))(tokens)
    real = mask_of(tokens, config.buckets + 1)
    return Answers(prompt, tokens, old, advantages_of(-errors, tokens, real, config.buckets), -errors.mean(axis=-1))


def advantages_of(
    rewards: Float[Array, "g t"], tokens: Int[Array, "g t"], real: Bool[Array, "g t"], buckets: int
) -> Float[Array, "g t"]:
    """z-scores within the group, place by place; EOS earns the mean of the terms that it left out."""
    left_out = tokens >= buckets
    share = jnp.maximum(left_out.sum(axis=-1, keepdims=True), 1).astype(rewards.dtype)
    of_rest = jnp.where(left_out, rewards, 0.0).sum(axis=-1, keepdims=True) / share
    earned = jnp.where(tokens == buckets, of_rest, rewards)
    count = jnp.maximum(real.sum(axis=0, keepdims=True), 1).astype(rewards.dtype)
    mean = jnp.where(real, earned, 0.0).sum(axis=0, keepdims=True) / count
    away = jnp.where(real, earned - mean, 0.0)
    spread = jnp.sqrt((away**2).sum(axis=0, keepdims=True) / count)
    return away / (spread + SPREAD)


def objective(policy: Any, config: GspoConfig, answers: Answers) -> Float[Array, ""]:
    """J over all prompts and responses."""

    def of_prompt(each: Answers) -> Float[Array, "g"]:
        new = jax.vmap(lambda response: log_probabilities(policy, each.prompt, response))(each.tokens)
        real = mask_of(each.tokens, config.buckets + 1)
        return token_surrogate(new, each.old, each.advantages, real, config.clip)

    return jax.vmap(of_prompt)(answers).mean()


def token_surrogate(
    new: Float[Array, "g t"],
    old: Float[Array, "g t"],
    advantages: Float[Array, "g t"],
    real: Bool[Array, "g t"],
    clip: tuple[float, float],
) -> Float[Array, "g"]:
    """Equation 13 for each response: the ratio has the value of the sequence's and the gradient of the token's."""
    length = jnp.maximum(real.sum(axis=-1, keepdims=True), 1).astype(new.dtype)
    of_sequence = jnp.exp(jnp.where(real, new - old, 0.0).sum(axis=-1, keepdims=True) / length)
    ratio = jax.lax.stop_gradient(of_sequence) * jnp.exp(new - jax.lax.stop_gradient(new))
    held = jnp.clip(ratio, 1 - clip[0], 1 + clip[1])
    gained = jnp.minimum(ratio * advantages, held * advantages)
    return jnp.where(real, gained, 0.0).sum(axis=-1) / length[:, 0]
