"""Small series for tests of the network: made in milliseconds, of the same kinds as real ones."""

from __future__ import annotations

from functools import cache

import numpy as np

from nvp.atlas.series import Series
from nvp.dynamics.domain import DomainSpec, register

FORCED = register(
    DomainSpec(
        name="forced_for_tests",
        title="A heated box",
        closed=False,
        second_law=False,
        boundary_x="wall",
        boundary_y="wall",
        units="1",
        dx=1.0,
        dy=1.0,
        dt=0.5,
        source_model="a known heater",
    )
)


@cache
def fluid_series(*, scale: int = 16, frames: int = 8, seed: int = 0) -> Series:
    """A smooth positive field carried by a uniform wind, which whole-cell shifts solve exactly."""
    rng = np.random.default_rng(seed)
    energy = _smooth(rng, scale, scale)
    wind = rng.integers(-1, 2, 2)
    shifted = [np.roll(energy, (t * wind[1], t * wind[0]), (0, 1)) for t in range(frames)]
    velocity = np.broadcast_to(wind.astype(np.float32), (frames, scale, scale, 2))
    return Series(
        energy=np.stack(shifted)[..., None].astype(np.float32),
        context={"velocity": np.array(velocity)},
        parameters={"viscosity": 0.1, "diffusivity": 0.1 + 0.01 * seed},
        dt=1.0,
        domain="fluid_dynamics",
    )


@cache
def forced_series(*, frames: int = 8) -> Series:
    """Energy that a known source adds to."""
    rng = np.random.default_rng(0)
    source = _smooth(rng, 16, 24)
    start = _smooth(rng, 16, 24)
    energy = np.stack([start + 0.5 * t * source for t in range(frames)])
    return Series(
        energy=energy[..., None].astype(np.float32),
        context={"source": np.repeat(source[None, ..., None], frames, 0).astype(np.float32)},
        dt=0.5,
        domain=FORCED.name,
    )


@cache
def temperature_series(*, hours: int = 72) -> Series:
    """A daily cycle, stronger in one half, with weather on top."""
    rng = np.random.default_rng(0)
    time = np.datetime64("2020-06-01T00", "s") + 3600 * np.arange(hours)
    cycle = 5 * np.sin(2 * np.pi * np.arange(hours) / 24)[:, None, None] * np.linspace(0, 1, 24)
    weather = np.stack([np.roll(_smooth(rng, 16, 24), 0) for _ in range(2)])
    mix = np.linspace(0, 1, hours)[:, None, None]
    energy = 280 + cycle + 3 * (weather[0] * (1 - mix) + weather[1] * mix)
    return Series(energy=energy[..., None].astype(np.float32), dt=3600.0, valid_time=time, domain="surface_temperature")


def _smooth(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A positive periodic field of a few waves, of mean about 1."""
    y, x = np.mgrid[0:height, 0:width]
    field = np.zeros((height, width))
    for _ in range(6):
        ky, kx = rng.integers(-3, 4, 2)
        field += rng.normal() * np.cos(2 * np.pi * (ky * y / height + kx * x / width) + rng.uniform(0, 6))
    return np.exp(0.3 * field)
