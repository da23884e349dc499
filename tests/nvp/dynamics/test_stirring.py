"""The stirring keeps the statistics that it promises, and compresses as much as it is told."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from nvp.dynamics.stirring import curl, stirring


def history(solenoidal: float, shape: tuple[int, int] = (32, 48)) -> np.ndarray:
    """200 accelerations half a memory apart."""
    start, onward = stirring(shape=shape, step=2.0, wavelength=12.0, memory=4.0, solenoidal=solenoidal)

    def go(force: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        return onward(force, key), force

    return np.asarray(jax.lax.scan(go, start(jax.random.key(0)), jax.random.split(jax.random.key(1), 200))[1])


@pytest.mark.parametrize("solenoidal", [0.0, 0.3, 1.0])
def test_mean_square_is_one_and_memory_is_exponential(solenoidal: float) -> None:
    force = history(solenoidal)
    square = (force**2).sum(axis=1).mean(axis=(1, 2))
    # from the first on
    assert square[:20].mean() == pytest.approx(1, abs=0.15)
    assert square.mean() == pytest.approx(1, abs=0.05)
    for lag in (1, 2):
        kept = (force[lag:] * force[:-lag]).sum(axis=1).mean() / square.mean()
        assert kept == pytest.approx(np.exp(-lag / 2), abs=0.05)


def test_solenoidal_share_is_what_has_no_divergence() -> None:
    def compressed(force: np.ndarray) -> float:
        k = np.stack(np.meshgrid(2 * np.pi * np.fft.fftfreq(48), 2 * np.pi * np.fft.fftfreq(32)))
        k2 = np.where((k**2).sum(axis=0) > 0, (k**2).sum(axis=0), 1)
        along = np.abs((k * np.fft.fft2(force)).sum(axis=1)) ** 2 / k2
        return float(along.sum() / (np.abs(np.fft.fft2(force)) ** 2).sum())

    assert compressed(history(1.0)) < 1e-6
    assert compressed(history(0.0)) > 1 - 1e-6
    # ζ acts on amplitudes, hence (1 − ζ)²/(ζ² + (1 − ζ)²) of the energy
    assert compressed(history(0.3)) == pytest.approx(0.49 / 0.58, abs=0.03)


def test_stirring_lies_around_its_wavelength() -> None:
    force = history(1.0, (32, 32))
    k = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32))) * 12
    power = (np.abs(np.fft.fft2(force)) ** 2).sum(axis=(0, 1))
    assert power[(k < 0.5) | (k > 1.5)].max() < 1e-6 * power.max()


def test_curl_of_a_rotation() -> None:
    n, k = 32, 2 * np.pi / 32
    x, y = np.meshgrid(np.arange(n) + 0.5, np.arange(n) + 0.5)
    # f = (−∂/∂y, ∂/∂x) of sin(kx) cos(2ky), whose curl is its Laplacian
    force = jnp.asarray([2 * k * np.sin(k * x) * np.sin(2 * k * y), k * np.cos(k * x) * np.cos(2 * k * y)])
    np.testing.assert_allclose(curl(force), -5 * k**2 * np.sin(k * x) * np.cos(2 * k * y), atol=1e-5)
