"""Small but complete inputs for the write queries, and what the graph holds after them."""

from __future__ import annotations

import hashlib
from typing import Any

from graph.gateway import Gateway
from graph.queries import runs, sequences, training
from graph.queries.frames import NewFrame
from graph.queries.leases import Lease
from graph.queries.runs import RunRow
from graph.queries.sequences import NewSegment, NewSequence
from graph.queries.splits import Part, create_split

DOMAIN = {
    "name": "plasma",
    "title": "Plasma",
    "closed": True,
    "second_law": False,
    "boundary_x": "periodic",
    "boundary_y": "periodic",
    "units": "J",
    "dx": 1.0,
    "dy": 1.0,
    "dt": 0.5,
    "source_model": "none",
    "signed": False,
    "reference": "",
}

COUNTS = """
RETURN COUNT {(:Sequence)} AS sequences, COUNT {(:EnergySnapshot)} AS snapshots, COUNT {()-[:NEXT]->()} AS next,
  COUNT {()-[:HAS_SNAPSHOT]->()} AS has_snapshot, COUNT {()-[:IN_DOMAIN]->()} AS in_domain,
  COUNT {()-[:OF_DOMAIN]->()} AS of_domain, COUNT {(:Domain)} AS domains
"""


def sha(*key: Any) -> str:
    """A stand-in for the hash of an array: equal for equal keys."""
    return hashlib.sha256(repr(key).encode()).hexdigest()


def statistics(step: int) -> dict[str, Any]:
    """Statistics of the state at a step."""
    return {
        "total_energy": 100.0 - step,
        "mean": 1.0,
        "variance": 0.5,
        "minimum": 0.0,
        "maximum": 4.0,
        "entropy": 2.0 + 0.1 * step,
        "gradient_energy": 0.25,
        "descriptor": tuple(float(k == step % 64) for k in range(64)),
    }


def frame(step: int, *, variant: str = "", **changes: Any) -> NewFrame:
    """The frame at a step; another `variant` is another array."""
    values = {"sha256": sha(step, variant), "uri": f"segments/x.h5#{step}", **statistics(step), **changes}
    return NewFrame(step=step, **values)


def frames(first: int, stop: int, *, variant: str = "") -> list[NewFrame]:
    """Frames first … stop - 1."""
    return [frame(step, variant=variant) for step in range(first, stop)]


def new_sequence(source: str = "run 7") -> NewSequence:
    """A sequence of 8 × 16 fields in DOMAIN."""
    return NewSequence(
        domain="plasma", source=source, recipe={"crop": True}, height=8, width=16, dt=0.5, generator="test"
    )


def new_segment(first: int, stop: int, *, variant: str = "") -> NewSegment:
    """The segment of frames first … stop - 1."""
    return NewSegment(
        first_step=first,
        length=stop - first,
        uri=f"segments/{first}-{stop}{variant}.h5",
        sha256=sha(first, stop, variant),
    )


async def append(
    gateway: Gateway, first: int, stop: int, *, source: str = "run 7", variant: str = "", replace: bool = False
) -> sequences.Appended | sequences.Stale:
    """Append frames first … stop - 1 as one segment."""
    return await sequences.append_segment(
        gateway,
        new_sequence(source),
        new_segment(first, stop, variant=variant),
        frames(first, stop, variant=variant),
        "Simulated",
        replace=replace,
    )


async def ingest(gateway: Gateway, first: int, stop: int, *, source: str = "run 7") -> None:
    """Append frames first … stop - 1 by the protocol of the module: look, write what is missing, look again."""
    uid = new_sequence(source).uid
    wanted = [(item.step, item.sha256) for item in frames(first, stop)]
    while steps := sequences.missing(wanted, await sequences.existing_steps(gateway, uid, first, stop - 1)):
        for stretch in sequences.stretches(steps):
            outcome = await append(gateway, stretch.start, stretch.stop, source=source)
            if isinstance(outcome, sequences.Stale):
                break


async def counts(gateway: Gateway) -> dict[str, int]:
    """How many nodes and links of the ingest there are."""
    return (await gateway.read(COUNTS))[0]


async def submit(gateway: Gateway, **changes: Any) -> RunRow:
    """A training run in the queue."""
    values: dict[str, Any] = {
        "kind": "training",
        "config": {"epochs": 3},
        "capability": "batch",
        "dedup_key": None,
        "rng_seed": 0,
        "inputs": [],
    }
    return await runs.submit(gateway, **(values | changes))


async def started(gateway: Gateway, **changes: Any) -> RunRow:
    """A run that this test's worker is working on."""
    row = await submit(gateway, **changes)
    (claimed,) = await runs.claim(gateway, capability=row.capability, worker="test", lease_seconds=60, only=row.uid)
    running = await runs.transition(gateway, row.uid, "LEASED", "RUNNING", claimed.lease_token)
    assert running is not None
    return running


async def trained(gateway: Gateway, *, stop: int = 20) -> tuple[Lease, str, str]:
    """A sequence of `stop` frames, a split of it and a checkpoint: (lease of the training run, split, checkpoint)."""
    await sequences.upsert_domain(gateway, DOMAIN)
    await append(gateway, 0, stop)
    uid = new_sequence().uid
    split = await create_split(
        gateway, name="half", kind="block", gap=2, parts=[Part("train", uid, 0, 9), Part("test", uid, 12, stop - 1)]
    )
    lease = (await started(gateway, inputs=[(split.uid, "split")])).lease
    model = await training.create_model(
        gateway,
        lease,
        name="ridge",
        architecture="ridge",
        domain="plasma",
        split=split.uid,
        config={"radius": 2},
        rng_seed=0,
        code_version="0.1.0",
    )
    checkpoint = await training.record_checkpoint(
        gateway,
        lease,
        model=model,
        step=1,
        epoch=1,
        uri="checkpoints/1",
        sha256=sha("weights", 1),
        metrics={"val_fidelity": 0.3, "val_loss": float("nan")},
    )
    return lease, split.uid, checkpoint
