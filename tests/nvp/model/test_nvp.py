"""The network: silent it is persistence, with any weights it keeps the law, and it serves every resolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, domain
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.hints import squeezed
from nvp.model.inputs import inputs_of
from nvp.model.nvp import NVP, parameter_count
from nvp.model.statistics import fit_statistics
from nvp.prediction.forecaster import windows
from nvp.training.step import predict_step, split
from tests.nvp.fields import fluid_series, forced_series, temperature_series

NARROW: dict[str, Any] = {"widths": (8, 8, 8), "latent": 16}


def network(config: NVPConfig, series: Any, *, gain: float = 0.0) -> NVP:
    """A network whose last layer is silent, or random of this size."""
    model = NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0))
    if gain:
        last = model.unet.decoder.leave
        last.kernel[...] = jnp.asarray(gain * np.random.default_rng(1).standard_normal(last.kernel.shape), jnp.float32)
    return model


def test_untrained_is_persistence_bit_for_bit() -> None:
    series = fluid_series(scale=32)
    config = replace(config_for(series_domain(series), series), **NARROW)
    window = windows(series, history=1, starts=[0, 1, 2], steps=1)
    prediction = predict_step(*split(network(config, series)), inputs_of(config, window))
    assert np.array_equal(prediction.mean, window.history[:, -1])
    assert (np.asarray(prediction.outflow) == 0).all()


def test_untrained_delta_head_is_persistence() -> None:
    series = temperature_series()
    config = replace(config_for(series_domain(series), series), **NARROW)
    assert (config.head, config.history, config.site) == ("delta", 3, (16, 24))
    window = windows(series, history=3, starts=[2, 9], steps=1)
    prediction = predict_step(*split(network(config, series)), inputs_of(config, window))
    assert np.array_equal(prediction.mean, window.history[:, -1])


@pytest.mark.parametrize("shape", [(32, 32), (128, 384)])
def test_random_weights_keep_the_law_at_any_resolution(shape: tuple[int, int]) -> None:
    series = fluid_series(scale=32)
    config = replace(config_for(series_domain(series), series), **NARROW)
    parts = split(network(config, series, gain=3.0))
    window = windows(series, history=1, starts=[0, 1, 2], steps=1)
    inputs = inputs_of(config, window)
    repeats = (1, shape[0] // 32, shape[1] // 32, 1)
    history = np.zeros((3, 1, *shape, 1), np.float32)
    history[0, 0, 7, 9] = 1e6  # one-hot
    history[1, 0] = 0.25  # uniform; the third is empty
    inputs = inputs._replace(history=history, context=np.tile(inputs.context, repeats))
    prediction = predict_step(*parts, inputs)
    mean = np.asarray(prediction.mean, np.float64)
    assert np.isfinite(mean).all()
    assert np.isfinite(np.asarray(prediction.log_var)).all()
    assert mean.min() >= 0
    held = history.astype(np.float64).sum(axis=(1, 2, 3, 4))
    assert (np.abs(mean.sum(axis=(1, 2, 3)) - held) <= 1e-5 * held).all()
    assert not np.allclose(mean[0], history[0, 0])


def test_nobody_is_surer_than_a_millionth() -> None:
    """A network that means to be certain would pay for one error more than for all others."""
    series = fluid_series(scale=16)
    config = replace(config_for(series_domain(series), series), **NARROW)
    model = network(config, series)
    given = inputs_of(config, windows(series, history=1, starts=[0], steps=1))
    untrained = np.asarray(predict_step(*split(model), given).log_var)
    bias = model.unet.decoder.leave.bias
    # of all outputs the log-variance's among them
    bias[...] = jnp.full(bias.shape, -200.0)
    surest = np.asarray(predict_step(*split(model), given).log_var)
    np.testing.assert_allclose(surest - untrained, np.log(1e-6), atol=1e-4)


def test_source_enters_and_open_edges_let_energy_out() -> None:
    series = forced_series()
    config = replace(config_for(series_domain(series), series), **NARROW, boundary_x="open", boundary_y="wall")
    window = windows(series, history=config.history, starts=[3], steps=1)
    inputs = inputs_of(config, window)
    base = window.history[:, -1] + window.context["source"][:, -1] * np.float32(series.dt)
    untrained = predict_step(*split(network(config, series)), inputs)
    assert np.array_equal(untrained.mean, base)
    assert float(untrained.outflow[0]) == 0
    prediction = predict_step(*split(network(config, series, gain=3.0)), inputs)
    assert abs(float(prediction.outflow[0])) > 0
    left = float(np.asarray(prediction.mean, np.float64).sum()) + float(prediction.outflow[0])
    assert abs(left / float(base.astype(np.float64).sum()) - 1) < 1e-5


def converging() -> Series:
    """A uniform wind that speeds up and slows down along x."""
    x = np.arange(32) * 2 * np.pi / 32
    velocity = np.zeros((3, 32, 32, 2), np.float32)
    velocity[..., 0] = 0.3 * np.sin(x)
    return replace(fluid_series(scale=32, frames=3), context={"velocity": velocity})


def test_a_flow_that_converges_gets_a_hint_of_what_it_gathers() -> None:
    series = converging()
    config = config_for(series_domain(series), series)
    assert config.compressible
    assert not config_for(series_domain(series), fluid_series(scale=32)).compressible
    with pytest.raises(FieldError, match="velocity"):
        NVPConfig(compressible=True)
    # dE/dt = -E du/dx where E is uniform
    displacement = jnp.asarray(series.context["velocity"][:1])
    slope = 0.3 * 2 * np.pi / 32 * np.cos(np.arange(32) * 2 * np.pi / 32)
    gathered = squeezed(displacement, ("periodic", "periodic"))
    np.testing.assert_allclose(gathered[0, 5, :, 0], np.expm1(-slope), atol=1e-3)
    # and the network keeps the law with it
    config = replace(config, **NARROW)
    inputs = inputs_of(config, windows(series, history=1, starts=[0], steps=1))
    mean = np.asarray(predict_step(*split(network(config, series, gain=3.0)), inputs).mean, np.float64)
    assert mean.min() >= 0
    assert mean.sum() == pytest.approx(series.energy[0].sum(dtype=np.float64), rel=1e-5)


def test_a_heated_field_that_is_uniform_as_yet_has_the_heating_as_its_unit() -> None:
    series = forced_series()
    config = replace(config_for(series_domain(series), series), **NARROW)
    inputs = inputs_of(config, windows(series, history=config.history, starts=[3], steps=1))
    inputs = inputs._replace(history=np.full_like(inputs.history, 2.0))
    prediction = predict_step(*split(network(config, series, gain=0.3)), inputs)
    base = 2.0 + inputs.context[..., :1] * np.float32(series.dt)
    # corrections are about as large as the heating, not a millionth of the field
    assert 1e-3 < np.abs(np.asarray(prediction.mean) - base).max() / np.abs(base - 2.0).max() < 1e3
    assert np.isfinite(np.asarray(prediction.log_var)).all()


def test_energy_in_other_units_gives_the_same_prediction_in_these_units() -> None:
    series = fluid_series(scale=32)
    config = replace(config_for(series_domain(series), series), **NARROW)
    parts = split(network(config, series, gain=0.3))
    inputs = inputs_of(config, windows(series, history=1, starts=[0, 1, 2], steps=1))
    once = np.asarray(predict_step(*parts, inputs).mean)
    scaled = np.asarray(predict_step(*parts, inputs._replace(history=1024 * inputs.history)).mean)
    assert np.allclose(scaled, 1024 * once, rtol=1e-4)


def test_gradient_agrees_with_finite_differences() -> None:
    series = fluid_series(scale=32)
    config = replace(config_for(series_domain(series), series), **NARROW)
    graph, params, constants = split(network(config, series, gain=0.1))
    inputs = jax.tree.map(jnp.asarray, inputs_of(config, windows(series, history=1, starts=[0, 1, 2], steps=1)))
    rng = np.random.default_rng(3)
    direction = jax.tree.map(lambda p: jnp.asarray(rng.standard_normal(p.shape), jnp.float32), params)

    def objective(step: jax.Array) -> jax.Array:
        moved = jax.tree.map(lambda p, d: p + step * d, params, direction)
        prediction = nnx.merge(graph, moved, constants, copy=True)(inputs)
        return jnp.mean(prediction.mean**2) + jnp.mean(prediction.log_var)

    both = jax.jit(jax.value_and_grad(objective))
    size = 1e-3
    ahead, behind = (float(both(jnp.float32(step))[0]) for step in (size, -size))
    slope, measured = float(both(jnp.float32(0))[1]), (ahead - behind) / (2 * size)
    assert np.isclose(slope, measured, rtol=0.03), (slope, measured)


def test_sizes_are_as_announced() -> None:
    series = fluid_series(scale=32)
    announced = {"tiny": 0.15e6, "small": 1e6, "base": 8.5e6}
    for size, parameters in announced.items():
        config = config_for(series_domain(series), series, size=size)  # type: ignore[arg-type]
        count = parameter_count(NVP(config, fit_statistics(config, [series]), rng=np.random.default_rng(0)))
        assert 0.8 < count / parameters < 1.3, (size, count)


def test_a_window_that_lacks_something_is_refused() -> None:
    series = fluid_series(scale=32)
    config = config_for(series_domain(series), series)
    window = windows(series, history=1, starts=[0], steps=1)
    with pytest.raises(FieldError, match="velocity"):
        inputs_of(config, replace(window, context={}))
    with pytest.raises(FieldError, match="viscosity"):
        inputs_of(config, replace(window, parameters={}))
    with pytest.raises(FieldError, match="expected 1 frames"):
        inputs_of(config, windows(series, history=2, starts=[2], steps=1))
    odd = Series(energy=series.energy[:, :-1], dt=1.0, domain=series.domain)
    told = replace(config, context=(), parameters=())
    with pytest.raises(FieldError, match="divisible by 8"):
        inputs_of(told, windows(odd, history=1, starts=[0], steps=1))


def test_configuration_survives_json() -> None:
    series = temperature_series()
    config = config_for(series_domain(series), series, size="small")
    assert NVPConfig.from_json(config.to_json()) == config
    with pytest.raises(FieldError, match="settings out of"):
        NVPConfig.from_json({**config.to_json(), "depth": 3})


def series_domain(series: Series) -> DomainSpec:
    """The domain's specification."""
    return domain(series.domain)
