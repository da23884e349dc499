"""Two stages are one stream of events and one loop: stopped in either, a training comes to the same bits."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from nvp.errors import FieldError
from nvp.model.config import NVPConfig
from nvp.model.denoiser import Denoiser
from nvp.model.inputs import Inputs
from nvp.model.nvp import Fitted, Prediction
from nvp.model.padding import Conv
from nvp.training import checkpoint, crps, diffusion, trainer
from nvp.training.api import train_nvp
from nvp.training.config import TrainingConfig
from nvp.training.data import TrainingData
from nvp.training.events import Begun, CheckpointSaved, EpochDone, Finished, Progress, TrainingEvent
from nvp.training.stage_config import Kind, StageConfig
from nvp.training.stages import second_stage
from tests.nvp.fields import fluid_series
from tests.nvp.training.toy import Toy

KINDS: tuple[Kind, ...] = ("members", "diffusion")
Whole = dict[Kind, tuple[Path, list[TrainingEvent]]]
DATA = TrainingData(train=[fluid_series(seed=s) for s in range(2)], validation=[fluid_series(seed=9)])


class Noisy(Toy):
    """The toy, and a share of the noise in every cell."""

    def __call__(self, inputs: Inputs, key: Any = None, noise: Any = None) -> Prediction:
        said = super().__call__(inputs, key)
        if noise is None:
            return said
        return said._replace(mean=said.mean + 0.1 * self.log_var[0] * jnp.mean(noise, axis=1)[:, None, None, None])


class ToyDenoiser(Denoiser):
    """One convolution of the noisy residual and of what it is told."""

    # another network of the same kind: nothing of its own is made
    def __init__(self, config: NVPConfig, *, context: Any, deviation: Any, rng: np.random.Generator) -> None:
        self.config = config
        self.context, self.deviation = Fitted(context), Fitted(deviation)
        told = config.channels * (config.history + 2) + config.context_channels
        self.conv = Conv(1 + told, 1, boundaries=("periodic", "periodic"), gain=0.1, rng=rng)

    def raw(self, scaled: Any, level: Any, told: Any) -> Any:
        return self.conv(jnp.concatenate([scaled, told.fields], axis=-1))


def patch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toys in place of the networks."""
    for module in (trainer, checkpoint, crps):
        monkeypatch.setattr(module, "NVP", Noisy)
    monkeypatch.setattr(diffusion, "Denoiser", ToyDenoiser)


@pytest.fixture(autouse=True, scope="module")
def _toy() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patched:
        patch(patched)
        yield


def setting(kind: Kind, *, epochs: int = 3) -> TrainingConfig:
    stage = StageConfig(kind=kind, noise=4, epochs=epochs, batch=4)
    # the best of the first stage is not its last: patience ends it
    first = {"epochs": 9, "patience": 2, "batch": 4, "learning_rate": 3e-3}
    return TrainingConfig(**first, stage=stage, checkpoint_seconds=1e-9, tensorboard=False, devices=1)


def run(kind: Kind, directory: Path) -> Iterator[TrainingEvent]:
    return trainer.train(setting(kind), DATA, directory=directory)


def said(events: list[TrainingEvent]) -> list[tuple[Any, ...]]:
    return [(one.epoch, one.step, one.train_loss) for one in events if isinstance(one, EpochDone)]


def state(directory: Path) -> dict[str, np.ndarray]:
    return checkpoint.read(max(directory.glob("*-after-*/resume-*")))[1]


@pytest.fixture(scope="module")
def whole(_toy: None, tmp_path_factory: pytest.TempPathFactory) -> Whole:
    """A training of each kind that nobody stopped, with what it said."""
    found: Whole = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("nvp.training.loop._PROGRESS_SECONDS", 0.0)
        for kind in KINDS:
            directory = tmp_path_factory.mktemp(kind)
            found[kind] = directory, list(run(kind, directory))
    return found


def same(directory: Path, again: list[TrainingEvent], whole: tuple[Path, list[TrainingEvent]]) -> None:
    """What was left to do was done as if nothing had happened."""
    other, events = whole
    assert 0 < len(said(again)) < 3
    assert said(again) == said(events)[-len(said(again)) :]
    one, two = state(directory), state(other)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    ended, straight = again[-1], events[-1]
    assert isinstance(ended, Finished)
    assert isinstance(straight, Finished)
    assert (ended.sha256, ended.step, ended.epoch) == (straight.sha256, straight.step, straight.epoch)


def test_stopped_in_the_second_stage_it_comes_to_the_same_bits(whole: Whole, tmp_path: Path) -> None:
    last = said(whole["diffusion"][1])[-1][0]
    stopped = run("diffusion", tmp_path)
    for event in stopped:
        # the state after the stage's first epoch is on disk, the second is lost
        if isinstance(event, EpochDone) and event.epoch == last - 1:
            stopped.close()  # type: ignore[attr-defined]
            break
    same(tmp_path, list(run("diffusion", tmp_path)), whole["diffusion"])
    # a training that is over does nothing but say so
    assert [type(event) for event in run("diffusion", tmp_path)] == [Begun, Finished]


def killed(directory: str) -> None:
    """A training in this process that says each epoch it has finished."""
    with pytest.MonkeyPatch.context() as patched:
        patch(patched)
        for event in run("members", Path(directory)):
            if isinstance(event, EpochDone):
                sys.stdout.write(f"{event.epoch}\n")
                sys.stdout.flush()


def test_killed_in_the_second_stage_it_comes_to_the_same_bits(whole: Whole, tmp_path: Path) -> None:
    last = said(whole["members"][1])[-1][0]
    command = "import sys; from tests.nvp.training.test_stages import killed; killed(sys.argv[1])"
    arguments = [sys.executable, "-c", command, str(tmp_path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as one:
        assert one.stdout is not None
        for line in one.stdout:
            if line.strip() == str(last - 1):
                one.send_signal(signal.SIGKILL)
                break
    assert one.returncode == -signal.SIGKILL
    same(tmp_path, list(run("members", tmp_path)), whole["members"])


def test_it_is_one_stream_whose_progress_grows(whole: Whole) -> None:
    directory, events = whole["members"]
    assert isinstance(events[0], Begun)
    assert isinstance(events[-1], Finished)
    assert sum(isinstance(event, Begun | Finished) for event in events) == 2
    shares = [event.fraction for event in events if isinstance(event, Progress)]
    assert all(a <= b for a, b in pairwise(shares))
    assert min(shares) < 0.7 < max(shares)
    base, *_, last = [event for event in events if isinstance(event, CheckpointSaved)]
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert (last.epoch, last.step) == (epochs[-1].epoch, epochs[-1].step)
    assert set(epochs[-1].terms) == {"crps", "variance"}
    manifest, _ = checkpoint.read(last.path)
    best = max(
        (event for event in events if isinstance(event, CheckpointSaved) and event != last), key=lambda e: e.step
    )
    assert manifest["base"] == best.sha256
    assert manifest["stage"]["kind"] == "members"
    assert base.path.parent == directory
    lines = [json.loads(text) for text in (last.path.parent / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines if line["event"] == "EpochDone"] == [event.epoch for event in epochs[-3:]]


def test_a_stage_by_itself_counts_on_from_its_base_and_knows_it(whole: Whole, tmp_path: Path) -> None:
    directory, (*_, ended) = whole["members"]
    assert isinstance(ended, Finished)
    base = max(directory.glob("best-*"))
    manifest, _ = checkpoint.read(base)
    stage = setting("members").stage
    assert stage is not None
    *_, last = second_stage(stage, base, DATA, directory=tmp_path / "alone", settings=setting("members")).run()
    assert isinstance(last, Finished)
    assert (last.epoch, last.step) == (manifest["epoch"] + 3, manifest["step"] + 9)
    assert last.sha256 == ended.sha256
    other = second_stage(replace(stage, members=3), base, DATA, directory=tmp_path / "alone")
    with pytest.raises(FieldError, match="training of this configuration"):
        other.restore()


def test_the_few_calls_train_both_stages(tmp_path: Path) -> None:
    trained = train_nvp(setting("members"), DATA.train, DATA.validation, epochs=2, directory=tmp_path)
    assert "members-after-" in trained.path.parent.name
    assert len(trained.history) == 2
