"""A training of two stages as one stream of events: the second trains what the first has written on to members.

Both are the same loop, each with its budget, in a directory of its own; a training that is stopped in either goes on
there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from nvp.training import checkpoint
from nvp.training.clock import Clock
from nvp.training.config import TrainingConfig
from nvp.training.crps import Members
from nvp.training.data import TrainingData
from nvp.training.diffusion import Denoising
from nvp.training.events import Begun, Finished, Progress, TrainingEvent
from nvp.training.loop import Loop
from nvp.training.objective import Counted, Objective
from nvp.training.stage_config import Kind, StageConfig

# share of the progress that the first stage makes; each has a budget of its own
_FIRST = 0.7

_OBJECTIVES: Mapping[Kind, Callable[[StageConfig, TrainingConfig, Path, TrainingData], Objective]] = {
    "members": Members,
    "diffusion": Denoising,
}


def in_two_stages(
    first: Loop, stage: StageConfig, data: TrainingData, *, resume: bool = True
) -> Iterator[TrainingEvent]:
    """Events of the first stage but its end, then those of the second but its beginning."""
    for event in first.run():
        match event:
            case Progress():
                yield replace(event, fraction=_FIRST * event.fraction)
            case Finished():
                ended = event
            case _:
                yield event
    after = Counted(first.after.epochs + first.epoch, first.after.steps + int(first.state.step))
    # of another base it is another stage
    directory = first.directory / f"{stage.kind}-after-{ended.step:08d}"
    second = second_stage(stage, ended.path, data, directory=directory, settings=first.config, after=after)
    if resume:
        second.restore()
    for event in second.run():
        match event:
            case Begun():
                pass
            case Progress():
                fraction = _FIRST + (1 - _FIRST) * event.fraction
                yield replace(event, fraction=fraction, fidelity=ended.val_fidelity)
            case Finished():
                yield replace(event, seconds=ended.seconds + event.seconds)
            case _:
                yield event


def second_stage(
    stage: StageConfig,
    base: Path,
    data: TrainingData,
    *,
    directory: Path,
    settings: TrainingConfig | None = None,
    after: Counted | None = None,
) -> Loop:
    """The stage that follows checkpoint `base`; `settings` say how it is run, `after` where it counts on from."""
    clock = Clock()
    config = _settings(stage, settings or TrainingConfig())
    if after is None:
        manifest, _ = checkpoint.read(base)
        after = Counted(manifest.get("epoch", 0), manifest.get("step", 0))
    return Loop(_OBJECTIVES[stage.kind](stage, config, base, data), config, directory, clock=clock, after=after)


def _settings(stage: StageConfig, run: TrainingConfig) -> TrainingConfig:
    """How the stage is trained, as its configuration says, and run and written, as the whole training is."""
    divides = run.devices is not None and stage.batch % run.devices == 0
    return TrainingConfig(
        rng_seed=stage.rng_seed,
        epochs=stage.epochs,
        seconds=stage.seconds,
        cpu_seconds=stage.cpu_seconds,
        batch=stage.batch,
        learning_rate=stage.rate,
        schedule="cosine",
        weight_decay=0.0,
        beta2=0.99,
        clip=stage.clip,
        ema=stage.ema,
        augment=stage.augment,
        devices=run.devices if divides else None,
        dispatch=run.dispatch,
        checkpoint_seconds=run.checkpoint_seconds,
        keep=run.keep,
        tolerated=run.tolerated,
        tensorboard=run.tensorboard,
    )
