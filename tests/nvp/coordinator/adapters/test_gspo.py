"""GSPO-token as published: the mask, the group, the ratio, the clip; and that it learns at all."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nvp.coordinator.adapters.adapter import Seen
from nvp.coordinator.adapters.gspo import GspoConfig, Memory, advantages_of, gspo, prompt_of, token_surrogate
from nvp.coordinator.adapters.policy import log_probabilities, mask_of, parameters, respond, shape_of
from nvp.errors import FieldError
from tests.nvp.coordinator.adapters.seeing import KEY, problem, seen

EOS, PAD = 4, 5
TOKENS = jnp.array([[0, 3, 1], [2, EOS, PAD], [1, 1, 1], [EOS, PAD, PAD]])


def test_the_mask_begins_with_the_first_token_and_ends_with_eos() -> None:
    np.testing.assert_array_equal(mask_of(TOKENS, 5), [[1, 1, 1], [1, 1, 0], [1, 1, 1], [1, 0, 0]])


def test_probabilities_of_a_response_are_those_it_was_drawn_with() -> None:
    """Token by token: π(first | prompt) · π(second | prompt, first) …, nothing on padding."""
    policy = nnx.merge(shape_of(4, 8), parameters(4, 8, 0))
    prompt = jnp.array([0, 3, 2])
    found = jax.jit(lambda: log_probabilities(policy, prompt, jnp.array([2, EOS, PAD])))()
    carry = jnp.zeros(8)
    for token in prompt:
        carry, logits = policy(carry, token)
    first = jax.nn.log_softmax(logits)[2]
    _, logits = policy(carry, jnp.asarray(2))
    np.testing.assert_allclose(found, [first, jax.nn.log_softmax(logits)[EOS], 0.0], atol=1e-6)
    drawn = jax.jit(jax.vmap(lambda key: respond(policy, prompt, key, buckets=4)))(jax.random.split(KEY, 50))
    for response in np.asarray(drawn):
        ended = np.flatnonzero(response == EOS)
        tail = response[ended[0] + 1 :] if ended.size else response[:0]
        assert (tail == PAD).all()
        assert PAD not in (response[: ended[0]] if ended.size else response)


def test_advantages_are_scores_within_the_group() -> None:
    """Raw rewards are all negative here: every response would be unlearnt, the best one too."""
    rewards = -jnp.array([[0.1, 1.0, 2.0], [0.5, 3.0, 3.0], [0.9, 2.0, 1.0], [0.2, 0.4, 0.6]])
    real = mask_of(TOKENS, 5)
    found = np.asarray(advantages_of(rewards, TOKENS, real, 4))
    assert (np.asarray(rewards) < 0).all()
    assert found.max() > 0.5
    np.testing.assert_allclose(np.where(real, found, 0).sum(axis=0), 0, atol=1e-5)
    # first place: .1, .5, .9 and, for the response that ends at once, the mean of all that it leaves out
    earned = -np.array([0.1, 0.5, 0.9, 0.4])
    np.testing.assert_allclose(found[:, 0], (earned - earned.mean()) / earned.std(), atol=1e-5)
    assert found[1, 2] == found[3, 1] == found[3, 2] == 0


def test_the_ratio_has_the_sequences_value_and_the_tokens_gradient() -> None:
    """Averaging the ratio before weighting gives every token the same gradient."""
    old = jnp.log(jnp.array([[0.5, 0.2, 0.3]]))
    new = old + jnp.array([[1e-4, 2e-4, -1.5e-4]])
    advantages, real = jnp.array([[1.0, -2.0, 0.5]]), jnp.array([[True, True, False]])
    ratio = float(jnp.exp(jnp.asarray(1.5e-4)))
    value = token_surrogate(new, old, advantages, real, (3e-4, 4e-4))
    assert float(value[0]) == pytest.approx(ratio * (1 - 2) / 2, rel=1e-6)
    slope = jax.jit(jax.grad(lambda at: token_surrogate(at, old, advantages, real, (3e-4, 4e-4)).sum()))(new)
    np.testing.assert_allclose(slope, ratio * np.array([[0.5, -1.0, 0.0]]), rtol=1e-6)

    def naive(at: jax.Array) -> jax.Array:
        mean = jnp.exp(((at - old) * real.astype(float)).sum() / 2)
        return (mean * (advantages * real.astype(float)).sum() / 2).sum()

    assert np.ptp(np.asarray(jax.grad(naive)(new))[0, :2]) == 0


def test_a_sequence_beyond_the_clip_no_longer_learns() -> None:
    """Upwards where its advantage is positive, downwards where it is negative; never where it would come back."""
    old, real = jnp.zeros((4, 2)), jnp.ones((4, 2), bool)
    new = jnp.array([[0.01, 0.01], [-0.01, -0.01], [0.01, 0.01], [-0.01, -0.01]])
    advantages = jnp.array([[1.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [-1.0, -1.0]])
    slope = jax.jit(jax.grad(lambda at: token_surrogate(at, old, advantages, real, (3e-4, 4e-4)).sum()))(new)
    np.testing.assert_array_equal(np.abs(np.asarray(slope)).sum(axis=1) > 0, [False, True, True, False])


def test_the_policy_learns_what_is_known_in_closed_form() -> None:
    """One prompt, again and again, until all responses are the buckets nearest to clip(1/norm) = (3.33, 0.25)."""
    config = GspoConfig(buckets=4, hidden=16, learning_rate=0.02, batch=1, group=8)
    adapter = gspo(config)
    at = seen([0.3, 4.0])
    assert prompt_of(at.norms, config).tolist() == [0, 3]
    memory = adapter.init(problem(), at)
    assert memory.norms.shape == (1, 2)

    def turn(state: tuple[jax.Array, Memory], key: jax.Array) -> tuple[tuple[jax.Array, Memory], jax.Array]:
        weights, memory = state
        _, memory = adapter.update(Seen(*at), memory, weights, key)
        return (weights, memory), memory.reward

    _, rewards = jax.jit(lambda start, keys: jax.lax.scan(turn, start, keys))(
        (jnp.ones(2), memory), jax.random.split(KEY, 80)
    )
    assert float(rewards[-10:].mean()) > float(rewards[:10].mean()) + 0.5
    nearest = np.abs(np.linspace(0.05, 4, 4)[:, None] - [[1 / 0.3, 0.25]]).min(axis=0)
    assert float(rewards[-10:].mean()) == pytest.approx(-nearest.mean(), abs=0.05)


@pytest.mark.parametrize("bad", [{"floor": 0.0}, {"ceiling": 0.01}, {"buckets": 3}, {"group": 1}, {"blend": 0.0}])
def test_settings_that_make_no_sense_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(FieldError):
        GspoConfig(**bad)
