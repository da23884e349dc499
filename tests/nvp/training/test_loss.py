"""Terms of the loss in closed form, their gradients by finite differences, and what a law does to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from nvp.dynamics.domain import DOMAINS, domain
from nvp.errors import FieldError
from nvp.training import loss
from nvp.training.config import LossConfig
from nvp.training.loss import conservation, entropy_fall, likelihood, loss_of, power, relative_error, squared_error
from nvp.training.recipes import SEEDS_LOSS, lawful

WRAP = ("periodic", "periodic")


def fields(seed: int = 0, *, b: int = 3, side: int = 8) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Prediction, truth and origin: positive, of mean about 1."""
    rng = np.random.default_rng(seed)
    made = np.exp(0.3 * rng.standard_normal((3, b, side, side, 1)))
    return tuple(jnp.asarray(part, jnp.float32) for part in made)  # type: ignore[return-value]


def test_conservation_is_the_share_of_the_total_that_is_missing() -> None:
    truth = jnp.ones((2, 8, 8, 1))
    # exactly by the formula, for 5 % and for a prediction of nothing
    assert float(conservation(1.05 * truth, truth)) == pytest.approx(0.05, abs=1e-6)
    assert float(conservation(jnp.zeros_like(truth), truth)) == 1.0
    assert float(conservation(truth, truth)) == 0.0
    # energy in the wrong place is no business of this term
    one_hot = jnp.zeros((2, 8, 8, 1)).at[:, 0, 0].set(64.0)
    assert float(conservation(one_hot, truth)) == 0.0


def test_mean_squared_error_is_of_fields_of_unit_mean() -> None:
    truth = jnp.ones((2, 8, 8, 1))
    assert float(squared_error(truth + 0.1, truth, truth)) == pytest.approx(0.01, rel=1e-5)
    assert float(squared_error(300 * (truth + 0.1), 300 * truth, 300 * truth)) == pytest.approx(0.01, rel=1e-5)
    empty = jnp.zeros_like(truth)
    assert float(squared_error(empty + 0.1, empty, empty)) == pytest.approx(0.01, rel=1e-5)


def test_entropy_counts_a_fall_beyond_the_threshold_only() -> None:
    even, heap = jnp.ones((1, 8, 8, 1)), jnp.zeros((1, 8, 8, 1)).at[:, :4].set(2.0)
    # half of the cells hold all: ln 2 less
    assert float(entropy_fall(even, heap)) == pytest.approx(np.log(2), rel=1e-5)
    assert float(entropy_fall(even, heap, threshold=0.5)) == pytest.approx(np.log(2) - 0.5, rel=5e-5)
    assert float(entropy_fall(heap, even)) == 0.0


def test_the_seeds_loss_is_the_sum_of_its_three_terms() -> None:
    predicted, truth, origin = fields()
    found = loss_of(SEEDS_LOSS, WRAP, predicted[:, None], jnp.zeros_like(predicted)[:, None], origin, truth[:, None])
    assert set(found.terms) == {"mse", "conservation", "entropy"}
    p, t, o = (np.asarray(x, np.float64) for x in (predicted, truth, origin))

    def entropy(x: np.ndarray) -> np.ndarray:
        share = x / x.sum(axis=(1, 2, 3), keepdims=True)
        return -(share * np.log(share)).sum(axis=(1, 2, 3))

    mse = np.mean(((p - t) / o.mean(axis=(1, 2, 3), keepdims=True)) ** 2)
    missing = np.mean(np.abs(p.sum(axis=(1, 2, 3)) - t.sum(axis=(1, 2, 3))) / t.sum(axis=(1, 2, 3)))
    fall = np.mean(np.maximum(0, entropy(o) - entropy(p)))
    assert float(found.total) == pytest.approx(mse + 0.1 * missing + 0.05 * fall, rel=1e-4)


def test_each_entropy_teaches_the_prediction() -> None:
    predicted, truth, origin = fields()
    heap = predicted**4
    for start in ("state", "truth"):
        config = LossConfig(fidelity=0.0, variance=0.0, entropy=1.0, entropy_from=start)  # type: ignore[arg-type]

        def total(p: jax.Array, config: LossConfig = config) -> jax.Array:
            return loss_of(config, WRAP, p[:, None], jnp.zeros_like(p)[:, None], origin, truth[:, None]).total

        assert float(total(heap)) > 0
        assert float(jnp.abs(jax.grad(total)(heap)).max()) > 0
    before = loss_of(LossConfig(entropy=1.0), WRAP, heap[:, None], heap[:, None] * 0, origin, truth[:, None])
    match = LossConfig(entropy=1.0, entropy_from="truth")
    after = loss_of(match, WRAP, heap[:, None], heap[:, None] * 0, origin, truth[:, None])
    assert float(before.terms["entropy"]) != float(after.terms["entropy"])


def test_entropy_is_a_law_only_where_it_is_one() -> None:
    closed = domain("fluid_dynamics")
    assert closed.second_law
    assert lawful(SEEDS_LOSS, closed) == SEEDS_LOSS
    forced = next(spec for spec in DOMAINS.values() if not spec.second_law and not spec.signed)
    assert lawful(SEEDS_LOSS, forced).entropy == 0
    match = LossConfig(entropy=0.05, entropy_from="truth")
    assert lawful(match, forced) == match
    signed = next(spec for spec in DOMAINS.values() if spec.signed)
    assert lawful(match, signed).entropy == 0


@pytest.mark.parametrize("name", ["fidelity", "mse", "conservation", "entropy", "gradient", "spectral"])
def test_gradients_agree_with_finite_differences(name: str) -> None:
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        made = np.exp(0.3 * rng.standard_normal((3, 2, 4, 4, 1)))
        predicted, truth, origin = (jnp.asarray(part) for part in made)
        terms: dict[str, Callable[[Any], Any]] = {
            "fidelity": lambda p: relative_error(p, truth, origin),
            "mse": lambda p: squared_error(p, truth, origin),
            "conservation": lambda p: conservation(p, truth),
            "entropy": lambda p: entropy_fall(origin, p**3),
            "gradient": lambda p: relative_error(*(loss.differences(x, WRAP) for x in (p, truth, origin))),
            "spectral": lambda p: loss.spectral_error(p, truth, WRAP),
        }
        assert float(terms[name](predicted)) > 0
        check_grads(jax.jit(terms[name]), (predicted,), order=1, modes=["rev"], eps=1e-5, atol=1e-5, rtol=1e-4)


def test_the_likelihood_teaches_the_variance_and_only_with_beta_the_mean() -> None:
    predicted, truth, origin = fields()

    def gradients(beta: float | None) -> tuple[float, float]:
        of = jax.grad(lambda p, v: likelihood(p, v, truth, origin, beta=beta), argnums=(0, 1))
        mean, variance = of(predicted, jnp.full_like(predicted, -2.0))
        return float(jnp.abs(mean).max()), float(jnp.abs(variance).max())

    assert gradients(None)[0] == 0
    assert gradients(None)[1] > 0
    assert gradients(0.5)[0] > 0
    # with beta = 1 each cell of the mean is taught by its plain error, whatever its variance
    of = jax.grad(lambda p, v: likelihood(p, v, truth, origin, beta=1.0))
    quiet, loud = (of(predicted, jnp.full_like(predicted, v)) for v in (-4.0, 1.0))
    assert np.allclose(quiet, loud, rtol=1e-4)


def test_the_best_variance_is_the_squared_error() -> None:
    predicted, truth, origin = fields()
    best = jnp.log((predicted - truth) ** 2 + 1e-12)
    least = float(likelihood(predicted, best, truth, origin, beta=None))
    assert all(float(likelihood(predicted, best + d, truth, origin, beta=None)) > least for d in (-0.5, 0.5))


def test_power_is_parsevals_and_knows_the_wave() -> None:
    y = np.arange(16)
    wave = 1 + 0.5 * np.cos(2 * np.pi * 3 * y / 16)
    field = jnp.asarray(np.broadcast_to(wave[None, :, None, None], (1, 16, 16, 1)), jnp.float32)
    found = np.asarray(power(field, WRAP))[0, :, 0]
    assert found.argmax() == 2
    assert found[2] == pytest.approx(0.5**2 / 2, rel=1e-5)
    rng = np.random.default_rng(0)
    smooth = np.fft.ifft2(
        np.fft.fft2(rng.standard_normal((16, 16))) * (np.hypot(*np.meshgrid(*[np.fft.fftfreq(16)] * 2)) < 0.4)
    )
    whole = np.asarray(power(jnp.asarray(smooth.real[None, ..., None], jnp.float32), WRAP)).sum()
    assert whole == pytest.approx(smooth.real.var(), rel=1e-4)
    # a slope between walls has no jump at its ends, as it has where they are one
    slope = jnp.asarray(np.broadcast_to(np.linspace(0, 1, 16)[None, :, None, None], (1, 16, 16, 1)), jnp.float32)
    fine = [float(power(slope, boundaries)[0, 4:, 0].sum()) for boundaries in (("wall", "wall"), WRAP)]
    assert fine[0] < 0.1 * fine[1]


def test_a_smoothed_prediction_has_a_spectral_error_and_a_shifted_one_has_none() -> None:
    _, truth, _ = fields(side=16)
    smooth = (truth + jnp.roll(truth, 1, 1) + jnp.roll(truth, 1, 2) + jnp.roll(truth, (1, 1), (1, 2))) / 4
    assert float(loss.spectral_error(jnp.roll(truth, 3, 1), truth, WRAP)) < 1e-6
    assert float(loss.spectral_error(smooth, truth, WRAP)) > 0.1


def test_a_loss_without_terms_is_none() -> None:
    with pytest.raises(FieldError, match="one above 0"):
        LossConfig(fidelity=0.0, variance=0.0)
    with pytest.raises(FieldError, match="weights >= 0"):
        LossConfig(mse=-1.0)
    with pytest.raises(FieldError, match="beta"):
        LossConfig(beta=2.0)
