"""A training of two stages as one stream of events: the second trains what the first has written on to members."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nvp.training.crps import finetune
from nvp.training.data import TrainingData
from nvp.training.diffusion import denoise_residual
from nvp.training.events import Finished, Progress, TrainingEvent
from nvp.training.stage_config import StageConfig

# share of the progress that the first stage makes; each has a budget of its own
_FIRST = 0.7


def in_two_stages(
    first: Iterator[TrainingEvent], config: StageConfig, data: TrainingData, directory: Path
) -> Iterator[TrainingEvent]:
    """Events of the first stage but its end, then those of the second.

    The first stage goes on where it was stopped; the second is short and begins anew.
    """
    begin = {"members": finetune, "diffusion": denoise_residual}[config.kind]
    for event in first:
        match event:
            case Progress():
                yield replace(event, fraction=_FIRST * event.fraction)
            case Finished():
                began, saved = time.perf_counter(), None
                for later in begin(config, event.path, data, directory=directory):
                    if isinstance(later, Progress):
                        yield replace(
                            later, fraction=_FIRST + (1 - _FIRST) * later.fraction, fidelity=event.val_fidelity
                        )
                    else:
                        saved = later
                        yield later
                assert saved is not None
                yield replace(
                    event,
                    path=saved.path,
                    step=saved.step,
                    epoch=saved.epoch,
                    val_fidelity=saved.val_fidelity,
                    sha256=saved.sha256,
                    seconds=event.seconds + time.perf_counter() - began,
                )
            case _:
                yield event
