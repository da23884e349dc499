"""Fields that carry themselves are known by their data, and a network of one sees it in its own unit."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Float32

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, register
from nvp.errors import FieldError
from nvp.model.config import NVPConfig, config_for
from nvp.model.hints import moved_by_itself
from nvp.model.inputs import Inputs
from nvp.model.nvp import NVP
from nvp.model.own_motion import WAVENUMBERS, detect, faded, fit_motion, own_velocity
from nvp.model.statistics import fit_statistics
from nvp.training.data import Examples, symmetry

SIDE = 32
SIGNED = register(
    DomainSpec(
        name="signed_field_of_tests",
        title="A signed field",
        closed=False,
        second_law=False,
        boundary_x="periodic",
        boundary_y="periodic",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=1.0,
        signed=True,
    )
)


def smooth(key: int, channels: int) -> np.ndarray:
    """A few random long waves of amplitude about 1."""
    rng = np.random.default_rng(key)
    modes = np.zeros((SIDE, SIDE, channels), np.complex128)
    modes[:4, :4] = rng.normal(size=(4, 4, channels)) + 1j * rng.normal(size=(4, 4, channels))
    modes[0, 0] = 0
    field = np.fft.ifft2(modes, axes=(0, 1)).real
    return (field / np.abs(field).max()).astype(np.float32)


def derivative(field: np.ndarray, axis: int) -> np.ndarray:
    k = 2j * np.pi * np.fft.fftfreq(SIDE)
    shape = [1] * field.ndim
    shape[axis] = SIDE
    return np.fft.ifft(k.reshape(shape) * np.fft.fft(field, axis=axis), axis=axis).real


def evolved(kind: str, key: int, *, reach: float, squeeze: float, diffusion: float, steps: int = 6) -> Series:
    """∂f/∂t = −reach u·∇f − squeeze f ∇·u + diffusion ∇²f, in many small steps."""
    field = smooth(key, 2 if kind == "velocity" else 1).astype(np.float64)
    frames = [field]
    for _ in range(steps):
        for _ in range(40):
            u = field if kind == "velocity" else own_velocity(field[None].astype(np.float32), "vorticity", np)[0]
            rate = -reach * (u[..., :1] * derivative(field, 1) + u[..., 1:] * derivative(field, 0))
            if kind == "velocity":
                rate -= squeeze * field * (derivative(u[..., :1], 1) + derivative(u[..., 1:], 0))
            rate += diffusion * (derivative(derivative(field, 1), 1) + derivative(derivative(field, 0), 0))
            field = field + rate / 40
        frames.append(field)
    return Series(energy=np.stack(frames).astype(np.float32), dt=1.0, domain=SIGNED.name)


@pytest.mark.parametrize("kind", ["velocity", "vorticity"])
def test_the_equation_is_found(kind: str) -> None:
    series = [evolved(kind, key, reach=0.2, squeeze=0.1, diffusion=0.1) for key in range(3)]
    assert detect(series) == kind
    motion = fit_motion(kind, series)  # type: ignore[arg-type]
    assert motion.reach == pytest.approx(0.2, rel=0.03)
    assert motion.squeeze == pytest.approx(0.1 if kind == "velocity" else 0.0, rel=0.1)
    assert motion.unexplained < 0.01


def test_a_field_that_only_diffuses_or_has_many_channels_carries_nothing() -> None:
    series = [evolved("velocity", key, reach=0.0, squeeze=0.0, diffusion=0.2) for key in range(2)]
    assert detect(series) is None
    frames = np.concatenate([series[0].energy, series[1].energy[..., :1]], axis=-1)
    assert detect([replace(series[0], energy=frames)]) is None
    noise = np.random.default_rng(0).normal(size=(5, SIDE, SIDE, 2)).astype(np.float32)
    assert detect([replace(series[0], energy=noise)]) is None


def test_a_velocity_of_a_vorticity_has_its_curl_and_no_divergence() -> None:
    vorticity = smooth(3, 1)
    u = own_velocity(vorticity[None], "vorticity", np)[0]
    curl = derivative(u[..., 1], 1) - derivative(u[..., 0], 0)
    np.testing.assert_allclose(curl, vorticity[..., 0], atol=1e-5)
    np.testing.assert_allclose(derivative(u[..., 0], 1) + derivative(u[..., 1], 0), 0, atol=1e-5)


def test_modes_fade_by_their_wavenumber_and_the_number_of_steps() -> None:
    x = np.arange(SIDE, dtype=np.float32)
    wave = np.broadcast_to(np.cos(2 * np.pi * 4 * x / SIDE)[None, None, :, None], (2, SIDE, SIDE, 1))
    table = np.exp(-WAVENUMBERS)
    there = faded(wave.astype(np.float32) + 1, table, np.array([1.0, 2.0], np.float32), np)
    expected = np.exp(-4 / SIDE) ** np.array([1, 2])[:, None, None, None] * wave + 1
    np.testing.assert_allclose(there, expected, atol=1e-5)


@pytest.fixture(scope="module")
def burgers() -> list[Series]:
    return [evolved("velocity", key, reach=0.2, squeeze=0.2, diffusion=0.1) for key in range(2)]


def test_the_network_that_suits_it(burgers: list[Series]) -> None:
    config = config_for(SIGNED, burgers[0])
    assert (config.head, config.advects_itself, config.compressible, config.history) == ("delta", "velocity", True, 1)
    assert NVPConfig.from_json(config.to_json()) == config
    with pytest.raises(FieldError, match="expected the delta head, 1 channels"):
        replace(config, advects_itself="vorticity")
    with pytest.raises(FieldError, match="a periodic grid"):
        replace(config, boundary_y="wall")


def test_the_hint_alone_leaves_little_and_the_untrained_network_is_persistence(burgers: list[Series]) -> None:
    config = replace(config_for(SIGNED, burgers[0]), widths=(4, 4, 4), latent=4)
    statistics = fit_statistics(config, burgers)
    examples = Examples(config, burgers)
    inputs, truth = examples.batch(np.arange(6))
    network = NVP(config, statistics, rng=np.random.default_rng(0))
    step = jax.jit(lambda inputs: network(inputs))
    np.testing.assert_array_equal(step(inputs).mean, inputs.history[:, -1])
    moved = moved_by_itself("velocity", statistics.reach, jnp.asarray(inputs.history[:, -1]), jnp.float32(1))
    said = faded(moved, jnp.asarray(statistics.fading), inputs.dt, jnp)
    change = np.sum((truth - inputs.history[:, -1]) ** 2)
    assert np.sum((said - truth) ** 2) < 0.02 * change
    # a gate of 1 on that hint, by the bias of the last convolution, says it in each of the four cells of a block
    bias = network.unet.decoder.leave.bias
    gates = np.zeros((4, config.channels * (network.hints + 2)), np.float32)
    gates[:, config.channels * (network.hints - 1) : config.channels * network.hints] = 1.0
    bias.set_value(jnp.asarray(gates.ravel()))
    np.testing.assert_allclose(jax.jit(lambda inputs: network(inputs))(inputs).mean, said, atol=2e-5)


def test_symmetries_of_the_field_turn_its_components(burgers: list[Series]) -> None:
    """The equation found in the turned frames is the same one, with the same coefficients."""
    found = fit_motion("velocity", burgers)
    config = config_for(SIGNED, burgers[0])
    inputs, truth = Examples(config, burgers).batch(np.arange(6))
    seen = set()
    for seed in range(8):
        turned, ahead = symmetry(config, inputs, truth, np.random.default_rng(seed))
        seen.add(turned.history.tobytes())
        pairs = [
            Series(energy=np.stack([state[0], after]), dt=1.0, domain=SIGNED.name)
            for state, after in zip(turned.history, ahead, strict=True)
        ]
        assert fit_motion("velocity", pairs).reach == pytest.approx(found.reach, rel=0.05)
    assert len(seen) == 8


def inputs_for(field: Float32[np.ndarray, "1 1 h w c"]) -> Inputs:
    """One state of a field that comes alone."""
    return Inputs(
        history=field,
        context=np.zeros((1, SIDE, SIDE, 0), np.float32),
        parameters=np.zeros((1, 0), np.float32),
        clock=np.zeros((1, 2), np.float32),
        dt=np.ones(1, np.float32),
        apart=np.zeros(1, np.int32),
    )


def test_a_turned_vorticity_changes_its_sign() -> None:
    config = NVPConfig(head="delta", advects_itself="vorticity")
    field = smooth(1, 1)[None, None]
    inputs = inputs_for(field)
    for seed in range(12):
        turned, _ = symmetry(config, inputs, field[0], np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        turns = int(rng.integers(0, 2, 3).sum())
        # its skewness is not zero, and no shift, flip or transposition of the cells changes it
        skewness = np.mean(turned.history.astype(np.float64) ** 3) / np.mean(field.astype(np.float64) ** 3)
        assert skewness == pytest.approx((-1) ** turns, rel=1e-3)


def test_a_field_of_unknown_channels_is_shifted_only() -> None:
    config = NVPConfig(head="delta", channels=3)
    field = smooth(2, 3)[None, None]
    inputs = inputs_for(field)
    spectrum = np.abs(np.fft.fft2(field[0, 0], axes=(0, 1)))
    for seed in range(6):
        turned, _ = symmetry(config, inputs, field[0], np.random.default_rng(seed))
        np.testing.assert_allclose(np.abs(np.fft.fft2(turned.history[0, 0], axes=(0, 1))), spectrum, atol=1e-3)
