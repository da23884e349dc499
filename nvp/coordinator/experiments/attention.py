"""Attention that is asked to be even: does the penalty λ·Var(A) help what it learns?

The task wants attention to look at a quarter of the places: each token's target is the mean of the contents of all
tokens of its class. For every rng seed all λ begin with the same weights and see the same data; with fresh weights for
each λ, as a comparison often has it, untrained losses already differ, and by how much is reported beside.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Float

from nvp.coordinator.attention import EnergyAttention
from nvp.coordinator.experiments.config import AttentionConfig
from nvp.coordinator.experiments.finding import Check, Finding, Report, exact_effect, mean_effect, verdict

HYPOTHESIS = "A penalty on uneven attention lowers the error on sequences that were not trained on."
CLASSES, CONTENT, TOKENS, BATCH = 4, 12, 16, 32
RATE = 1e-2


def run(config: AttentionConfig, progress: Report) -> Finding:
    """Every λ from every seed's weights, in one batch."""
    strengths = np.array(config.strengths, np.float32)
    seeds = [config.seed * 1_000_003 + trial for trial in range(config.trials)]
    models = [EnergyAttention(CLASSES + CONTENT, strength=1.0, rngs=nnx.Rngs(each)) for each in seeds]
    graph = nnx.graphdef(models[0])
    start = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(nnx.state(model) for model in models))
    keys = jnp.stack([jax.random.key(each) for each in seeds])
    progress("train", 0.1, f"{config.trials} seeds × {len(strengths)} strengths at once")
    before, after, variance = (
        np.asarray(each) for each in _trained(graph, start, keys, jnp.asarray(strengths), steps=config.steps)
    )
    progress("train", 1.0, "done")
    seed = config.seed
    none = after[:, 0]
    gains = [
        mean_effect(f"error: λ = {config.strengths[0]:g} − λ = {each:g}", none - after[:, place], seed=seed)
        for place, each in enumerate(config.strengths)
        if place
    ]
    fresh = before[:, 0] - np.roll(before[:, 0], 1)
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(gains[-1]),
        reading="Judged at the largest λ; the spread of untrained losses is what fresh weights for each λ would add.",
        effects=[
            *gains[::-1],
            exact_effect("spread of untrained losses, fresh weights", float(fresh.std()), n=len(fresh)),
        ],
        arms={
            f"λ = {each:g}": [
                mean_effect("error", after[:, place], seed=seed),
                mean_effect("variance of attention", variance[:, place], seed=seed),
            ]
            for place, each in enumerate(config.strengths)
        }
        | {"untrained": [mean_effect("error", before[:, 0], seed=seed)]},
        checks=[
            Check(
                name="largest difference of untrained losses between strengths",
                value=float(np.ptp(before, axis=1).max()),
                bound="<= 0",
                met=bool(np.ptp(before, axis=1).max() <= 0),
            )
        ],
    )


def draw(key: Array, count: int) -> tuple[Float[Array, "b t d"], Float[Array, "b t d"]]:
    """Tokens (class, content), and the mean content of each token's class."""
    class_key, content_key = jax.random.split(key)
    of = jax.nn.one_hot(jax.random.randint(class_key, (count, TOKENS), 0, CLASSES), CLASSES)
    content = jax.random.normal(content_key, (count, TOKENS, CONTENT))
    total = jnp.einsum("btc,btd->bcd", of, content)
    mean = total / jnp.maximum(of.sum(axis=1), 1.0)[:, :, None]
    target = jnp.einsum("btc,bcd->btd", of, mean)
    return jnp.concatenate([of, content], axis=2), jnp.concatenate([jnp.zeros_like(of), target], axis=2)


@partial(jax.jit, static_argnames=("graph", "steps"))
def _trained(graph: Any, start: Any, keys: Array, strengths: Array, *, steps: int) -> tuple[Array, Array, Array]:
    """Error before, error after and variance of A on held-out sequences; axes (seed, strength)."""
    adam = optax.adam(RATE)

    def errors(state: Any, x: Array, y: Array) -> tuple[Array, Array]:
        found, energy = nnx.merge(graph, state)(x)
        return jnp.mean((found - y) ** 2), energy

    def loss(state: Any, x: Array, y: Array, strength: Array) -> Array:
        error, energy = errors(state, x, y)
        return error + strength * energy

    def one(state: Any, key: Array, strength: Array) -> tuple[Array, Array, Array]:
        train, test = (draw(each, BATCH) for each in jax.random.split(key))

        def step(carry: Any, _: None) -> tuple[Any, None]:
            now, memory = carry
            slope = jax.grad(loss)(now, *train, strength)
            with jax.numpy_dtype_promotion("standard"):  # the library mixes kinds of numbers
                updates, memory = adam.update(slope, memory, now)
            return (optax.apply_updates(now, updates), memory), None

        before = errors(state, *test)[0]
        (end, _), _ = jax.lax.scan(step, (state, adam.init(state)), None, length=steps)
        after, variance = errors(end, *test)
        return before, after, variance

    each_strength = jax.vmap(one, in_axes=(None, None, 0))
    found: tuple[Array, Array, Array] = jax.vmap(each_strength, in_axes=(0, 0, None))(start, keys, strengths)
    return found
