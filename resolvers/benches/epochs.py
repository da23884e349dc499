"""How long a training takes: timed epochs of 20 sequences × 50 steps at 256², and what 100 of them would take.

Timed is the training as users run it: batches out of sequences, steps, validation after each epoch, checkpoints. The
first epoch, in which all is compiled, stands apart. On a GPU the epochs are whole and the products bfloat16; elsewhere
each is a few steps in float32, and its two parts, steps and validation, are scaled up to the whole epoch, which the
result says. The fields are smooth energies that a uniform wind carries by whole cells: no time depends on what they
show.
"""

from __future__ import annotations

import math
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nvp.atlas.series import Series
from nvp.model.config import Size
from resolvers.benches.costs import on_gpu
from resolvers.benches.suites import Report, SuiteConfig

# epochs of the training that is extrapolated to, and what it may take on a GPU and anywhere
EPOCHS, MOST_MINUTES_ON_GPU, MOST_MINUTES = 100, 60.0, 24 * 60.0
_TIMED = 5
_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One epoch of training."""

    size: Size
    scale: int
    # sequences to train on, of so many steps each; one more of them is validated on
    sequences: int
    steps: int

    @property
    def batches(self) -> int:
        """Steps of training."""
        return max(1, self.sequences * self.steps // _BATCH)

    @property
    def looks(self) -> int:
        """Batches of validation."""
        return math.ceil(self.steps / _BATCH)


def run(config: SuiteConfig, progress: Report) -> dict[str, Any]:
    """Minutes of 100 epochs by the median of five, and whether they are few enough."""
    gpu = on_gpu()
    asked = Work(size="small", scale=256, sequences=20, steps=50)
    done = asked
    if config.quick:
        asked = done = Work(size="tiny", scale=16, sequences=2, steps=8)
    elif not gpu:
        done = Work(size=asked.size, scale=asked.scale, sequences=2, steps=8)
    found = _timed(done, config.seeds[0], progress, gpu=gpu)
    training = float(np.median(found["training"])) * asked.batches / done.batches
    rest = float(np.median(found["rest"])) * asked.looks / done.looks
    minutes = (found["first"] + (EPOCHS - 1) * (training + rest)) / 60
    criteria = {
        f"{EPOCHS} epochs in {MOST_MINUTES_ON_GPU:g} minutes": minutes < MOST_MINUTES_ON_GPU if gpu else None,
        f"{EPOCHS} epochs in {MOST_MINUTES:g} minutes": minutes < MOST_MINUTES,
    }
    return {
        "suite": "epochs",
        "n": _TIMED,
        "seed": config.seeds[0],
        "compute": found["compute"],
        "parameters": found["parameters"],
        "batch": _BATCH,
        "epoch": {**asdict(asked), "batches": asked.batches},
        "timed": {**asdict(done), "batches": done.batches},
        "results": {
            "first_epoch_seconds": round(found["first"], 2),
            "epoch_seconds": [round(a + b, 3) for a, b in zip(found["training"], found["rest"], strict=True)],
            "samples_per_second": round(done.batches * _BATCH / float(np.median(found["training"])), 2),
            "device_memory_gib": _memory(),
        },
        "extrapolated": {
            "epochs": EPOCHS,
            "minutes": round(minutes, 2),
            "epoch_seconds": round(training + rest, 2),
            "from": f"{_TIMED} whole epochs"
            if done == asked
            else f"{_TIMED} epochs of {done.batches} out of {asked.batches} steps",
        },
        "criteria": criteria,
        "passed": all(held is not False for held in criteria.values()),
    }


def _timed(work: Work, seed: int, progress: Report, *, gpu: bool) -> dict[str, Any]:
    """Seconds of each epoch after the first, those of its steps and all others apart."""
    from nvp.training.config import TrainingConfig
    from nvp.training.data import TrainingData
    from nvp.training.events import Begun, EpochDone
    from nvp.training.trainer import train

    progress("epochs", 0.0, "data")
    series = [drifting(work, seed=seed, number=number) for number in range(work.sequences + 1)]
    config = TrainingConfig(
        size=work.size,
        epochs=1 + _TIMED,
        batch=_BATCH,
        rng_seed=seed,
        compute="bfloat16" if gpu else "float32",
        devices=1,
        tensorboard=False,
    )
    parameters, first, training, rest = 0, 0.0, list[float](), list[float]()
    with tempfile.TemporaryDirectory(prefix="fieldgraph-bench-") as folder:
        began = time.perf_counter()
        data = TrainingData(train=series[:-1], validation=series[-1:])
        for event in train(config, data, directory=Path(folder)):
            match event:
                case Begun():
                    parameters = event.parameters
                case EpochDone():
                    # what is written after an epoch falls into the next one
                    took, began = time.perf_counter() - began, time.perf_counter()
                    if event.epoch == 1:
                        first = took
                    else:
                        training.append(work.batches * _BATCH / event.samples_per_second)
                        rest.append(took - training[-1])
                    progress("epochs", event.epoch / (1 + _TIMED), f"epoch {event.epoch}: {took:.1f} s")
    return {"first": first, "training": training, "rest": rest, "parameters": parameters, "compute": config.compute}


def drifting(work: Work, *, seed: int, number: int) -> Series:
    """A smooth positive field that a uniform wind carries by whole cells."""
    rng = np.random.default_rng((seed, number))
    side = work.scale
    waves = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    spectrum = np.fft.rfft2(rng.standard_normal((side, side))) * np.exp(-((waves / 6) ** 2))
    field = np.fft.irfft2(spectrum, s=(side, side))
    start = np.exp(0.5 * field / field.std()).astype(np.float32)
    wind = rng.integers(-2, 3, 2)
    frames = [np.roll(start, (t * wind[1], t * wind[0]), (0, 1)) for t in range(work.steps + 1)]
    velocity = np.broadcast_to(wind.astype(np.float32), (work.steps + 1, side, side, 2))
    return Series(
        energy=np.stack(frames)[..., None],
        context={"velocity": velocity},
        parameters={"diffusivity": 0.0},
        dt=1.0,
        domain="fluid_dynamics",
    )


def _memory() -> float | None:
    """GiB that the device held at most; None where it does not count them."""
    import jax

    found = jax.devices()[0].memory_stats()
    return None if found is None else round(found["peak_bytes_in_use"] / 2**30, 2)
