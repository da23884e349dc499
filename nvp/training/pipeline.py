"""Pipeline: shuffled, sharded batches out of anything numbered, prefetched, whose position is a small piece of JSON.

    windows = EnergyAtlasLoader("atlas", "fluid_dynamics").windows(window=10, stride=1)
    batches = Pipeline(windows, PipelineConfig(batch=16, rng_seed=0))
    for batch in batches: …                        # (16, 10, H, W)
    json.dump(batches.state(), file)               # later: Pipeline(windows, config, state=json.load(file))

A source is `Windows` of an atlas, `Examples` out of series, or whatever has a length and `batch(numbers)`. Order and
prefetching are grain's (its `MapDataset`); what is shuffled are numbers, so that a source reads a whole batch at once,
in the order of its files. Every epoch has an order of its own out of (rng seed, epoch), in which each number of a
shard occurs exactly once, but for a rest that does not fill a batch where `drop_rest` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Int64

from nvp.errors import FieldError

B_co = TypeVar("B_co", covariant=True)
B = TypeVar("B")


@runtime_checkable
class Source(Protocol[B_co]):
    """What can be drawn from by number."""

    def __len__(self) -> int:
        """How many numbers there are."""
        ...

    def batch(self, numbers: Int64[np.ndarray, "n"], /) -> B_co:
        """What these numbers stand for, in this order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """How numbers become batches; all but the last two decide what is in which batch."""

    batch: int
    # root of every order; None keeps the source's own
    rng_seed: int | None = 0
    # this is shard `shard` of `shards`, which share nothing and leave nothing out
    shard: int = 0
    shards: int = 1
    # passes over the data; None goes on for ever
    epochs: int | None = 1
    # leave out what does not fill a batch (compiled steps have one shape)
    drop_rest: bool = False

    # batches made ahead, and by how many threads
    prefetch: int = 2
    threads: int = 1

    def __post_init__(self) -> None:
        wrong = [name for name in ("batch", "shards", "prefetch", "threads") if getattr(self, name) < 1]
        if wrong or not 0 <= self.shard < self.shards or (self.epochs is not None and self.epochs < 1):
            raise FieldError(
                "BAD_PIPELINE",
                f"expected counts of at least 1 and a shard below {self.shards}, got {asdict(self)}.",
                next_step="Number the shards from 0.",
            )


class Pipeline(Generic[B]):
    """An iterator over batches that knows where it stands; closing it ends its threads."""

    def __init__(self, source: Source[B], config: PipelineConfig, *, state: Mapping[str, Any] | None = None) -> None:
        self.source, self.config = source, config
        mine = len(range(config.shard, len(source), config.shards))
        # batches in one epoch
        self.batches = mine // config.batch if config.drop_rest else -(-mine // config.batch)
        if not self.batches:
            raise FieldError(
                "NO_DATA",
                f"expected at least {config.batch if config.drop_rest else 1} examples in shard {config.shard} of "
                f"{config.shards}, got {mine} of {len(source)}.",
                next_step="Use fewer shards, smaller batches or more data.",
            )
        self._iterator = iter(self._dataset())
        if state is not None:
            self._restore(state)

    def __iter__(self) -> Iterator[B]:
        return self

    def __next__(self) -> B:
        batch: B = next(self._iterator)
        return batch

    def state(self) -> dict[str, Any]:
        """Where the next batch comes from, as JSON; batches that were made ahead but not taken are still to come."""
        return {"pipeline": self._identity(), "position": self._iterator.get_state()}

    def close(self) -> None:
        """End the threads that make batches ahead."""
        self._iterator.close()

    def _dataset(self) -> Any:
        # grain takes two seconds to import, which only those who use it should pay
        import grain  # type: ignore[import-untyped]

        config = self.config
        numbers = grain.MapDataset.range(len(self.source))
        if config.rng_seed is not None:
            numbers = numbers.shuffle(seed=config.rng_seed)
        numbers = numbers[config.shard :: config.shards].batch(config.batch, drop_remainder=config.drop_rest)
        if config.epochs != 1:
            numbers = numbers.repeat(config.epochs)
        made = numbers.map(lambda chosen: self.source.batch(np.asarray(chosen, np.int64)))
        options = grain.ReadOptions(num_threads=config.threads, prefetch_buffer_size=config.prefetch)
        return made.to_iter_dataset(options)

    def _identity(self) -> dict[str, Any]:
        """What must be the same for a position to mean the same."""
        said = asdict(self.config) | {"length": len(self.source)}
        for free in ("prefetch", "threads", "epochs"):
            del said[free]
        return said

    def _restore(self, state: Mapping[str, Any]) -> None:
        if state.get("pipeline") != self._identity():
            raise FieldError(
                "OTHER_PIPELINE",
                f"expected a position in {self._identity()}, got one in {state.get('pipeline')}.",
                next_step="Use the data and the configuration that it was saved with.",
            )
        self._iterator.set_state(state["position"])
