"""Cooling against its exact decay, and what passes the open edges."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from nvp.dynamics.config import PRESETS, configure
from nvp.dynamics.configs.radiative_layer import RadiativeLayerConfig
from nvp.dynamics.radiative_layer import cooled, cooling
from nvp.dynamics.simulators import simulator
from nvp.dynamics.transport import Faces
from nvp.errors import FieldError

CONFIG = RadiativeLayerConfig()


def test_only_mixed_gas_cools() -> None:
    phases = jnp.asarray([[0.0, CONFIG.cold, CONFIG.hot, 2 * CONFIG.hot]])
    np.testing.assert_allclose(cooling(phases, CONFIG, 0.03), 0, atol=1e-7)
    energy = jnp.asarray(np.geomspace(CONFIG.cold, CONFIG.hot, 101)[None, :], jnp.float32)
    rates = np.asarray(cooling(energy, CONFIG, 0.03))[0]
    assert rates.argmax() == 50
    assert rates[50] == pytest.approx(0.03, rel=1e-5)
    # symmetric in ln E
    np.testing.assert_allclose(rates, rates[::-1], atol=1e-6)
    assert rates.min() >= 0


def test_uniform_gas_cools_as_its_law_says_at_second_order() -> None:
    with jax.enable_x64(True):

        def law(_: float, e: np.ndarray) -> np.ndarray:
            x = np.log(e / 0.1) / np.log(10)
            return -0.5 * (4 * x * (1 - x)) ** 2 * e

        start = np.asarray([0.2, 0.4, 0.7, 0.95])
        exact = solve_ivp(law, (0, 4), start, rtol=1e-11, atol=1e-13).y[:, -1]
        still = Faces(x=jnp.zeros((8, 5)), y=jnp.zeros((9, 4)))
        errors = []
        for parts in (8, 16, 32):
            # columns do not mix without diffusion
            cool = partial(cooled, faces=still, config=CONFIG, duration=4 / parts, diffusivity=0.0, highest=0.5)
            first = jnp.asarray(np.broadcast_to(start, (8, 4)))
            end = jax.lax.fori_loop(0, parts, lambda _, energy, cool=cool: cool(energy).energy, first)
            errors.append(float(np.abs(np.asarray(end) - exact).max()))
    orders = np.log2(np.divide(errors[:-1], errors[1:]))
    assert np.all((orders > 1.8) & (orders < 2.3)), f"{errors=} {orders=}"
    assert errors[-1] < 1e-3


def test_rectangle_cools_and_exchanges_through_both_edges() -> None:
    config = configure("turbulent_radiative_layer", {"height": 24, "width": 40, "steps": 6, "warm_up": 20.0})
    (series,) = simulator("turbulent_radiative_layer")(config, jax.random.key(0), sequences=1)
    assert series.energy.shape == (6, 24, 40, 1)
    assert series.source_total is not None
    assert series.outflow_total is not None
    totals = series.energy.sum(axis=(1, 2, 3), dtype=np.float64)
    residual = np.diff(totals) - series.source_total[1:] + series.outflow_total[1:]
    np.testing.assert_allclose(residual / totals[:-1], 0, atol=1e-6)
    # mixed gas cools; more energy enters above than leaves below, by about V · (hot − cold) per column
    assert (series.source_total[1:] < -1e-3 * totals[:-1]).all()
    assert (series.outflow_total[1:] < 0).all()
    assert series.source_total[0] == series.outflow_total[0] == 0
    most = series.parameters["inflow"] * config.dt * 40 * (config.hot - config.cold)
    assert series.outflow_total.min() > -1.02 * most
    # hot above, cold below, and never beyond the two phases
    assert series.energy[:, -4:].mean() > series.energy[:, :4].mean() + 0.2
    assert series.energy.min() >= 0.999 * config.cold
    assert series.energy.max() <= 1.001 * config.hot
    assert (series.context["source"] <= 0).all()
    # the mean velocity across is the inflow
    assert series.context["velocity"][..., 1].mean() == pytest.approx(-series.parameters["inflow"], rel=1e-3)


def test_native_grid_is_named() -> None:
    native = configure("turbulent_radiative_layer", PRESETS["turbulent_radiative_layer"]["native"])
    assert native.shape == (128, 384)


@pytest.mark.parametrize(
    ("settings", "word"),
    [({"hot": 0.05}, "hot"), ({"cold": 0.0}, "cold"), ({"inflow": [0.0, 0.1]}, "inflow"), ({"force": -1.0}, "force")],
)
def test_bad_settings_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(FieldError, match=word):
        configure("turbulent_radiative_layer", settings)
