"""Domains, sequences and what they are cut into: the data as it was measured or simulated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from schema import ports
from schema.connection import DEFAULT_PAGE, Connection, page_size
from schema.described import described
from schema.enums import SnapshotKind
from schema.node import Identified
from schema.ports import Info

if TYPE_CHECKING:
    from schema.runs import Run
    from schema.snapshots import EnergySnapshot


@strawberry.type(description="What is true of a kind of field, whoever supplies it.")
class Domain(Identified):
    name: str
    title: str
    closed: bool = strawberry.field(description="No energy crosses the boundary and no source acts.")
    second_law: bool = strawberry.field(description="Spatial entropy cannot fall.")
    boundary_x: str = strawberry.field(description="periodic, wall or open")
    boundary_y: str
    units: str
    dx: float
    dy: float
    dt: float
    source_model: str = strawberry.field(description="Source term Q in words.")
    signed: bool = strawberry.field(description="The field may be negative; no energy law applies.")
    reference: str | None

    @classmethod
    def resolve_id_attr(cls) -> str:
        return "name"

    @described("Its sequences.")
    async def sequences(
        self, info: Info, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Annotated[Sequence, strawberry.lazy("schema.fields")]]:
        return await info.context.catalog.page(ports.SEQUENCES, first=first, after=after, domain=self.name)

    @described("Its snapshots in order of t; predicted ones only where `kind` asks for them.")
    async def snapshots(
        self, info: Info, kind: SnapshotKind | None = None, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Annotated["EnergySnapshot", strawberry.lazy("schema.snapshots")]]:
        return await info.context.catalog.page(ports.SNAPSHOTS, first=first, after=after, domain=self.name, kind=kind)


@strawberry.type(description="One evolution E_t -> E_t+1 -> … of a field; it grows by segments.")
class Sequence(Identified):
    uid: strawberry.ID
    domain_name: strawberry.Private[str]
    source: str = strawberry.field(description="Name of what it came from, never a path.")
    generator: str
    kind: SnapshotKind
    recipe: JSON = strawberry.field(description="How it was made: variable, crop, settings of a simulator.")
    rng_seed: int | None
    height: int
    width: int
    dt: float
    first: int = strawberry.field(description="Smallest t_index.")
    last: int = strawberry.field(description="Largest t_index.")
    length: int = strawberry.field(description="How many snapshots; fewer than last - first + 1 where it has gaps.")
    digest: str

    @strawberry.field
    async def domain(self, info: Info) -> Domain | None:
        return await info.context.catalog.one(Domain, self.domain_name)

    @described("Its snapshots in order of t.")
    async def snapshots(
        self, info: Info, first: int = DEFAULT_PAGE, after: str | None = None
    ) -> Connection[Annotated["EnergySnapshot", strawberry.lazy("schema.snapshots")]]:
        return await info.context.catalog.page(ports.SNAPSHOTS, first=first, after=after, sequence=self.uid)

    @described("The immutable files it is kept in, in order of t.")
    async def segments(self, info: Info, first: int = DEFAULT_PAGE) -> list[Segment]:
        return await info.context.catalog.related(ports.SEGMENTS, self.uid, page_size(first))

    @described("The roles it plays in splits.")
    async def parts(self, info: Info, first: int = DEFAULT_PAGE) -> list[Part]:
        return await info.context.catalog.related(ports.PARTS_OF_SEQUENCE, self.uid, page_size(first))

    @described("The run that simulated it.")
    async def generated_by(self, info: Info) -> Annotated["Run", strawberry.lazy("schema.runs")] | None:
        runs = await info.context.catalog.related(ports.SEQUENCE_RUN, self.uid)
        return runs[0] if runs else None


@strawberry.type(description="A stretch of consecutive snapshots in one file.")
class Segment:
    uid: strawberry.ID
    first: int
    length: int
    sha256: str


@strawberry.type(description="A division of sequences into roles, by sequence or by time with a gap.")
class Split(Identified):
    uid: strawberry.ID
    name: str
    kind: str = strawberry.field(description="sequence (whole sequences) or block (stretches of time)")
    gap: int = strawberry.field(description="Steps left out between roles of one sequence.")

    @strawberry.field
    async def parts(self, info: Info, first: int = DEFAULT_PAGE) -> list[Part]:
        return await info.context.catalog.related(ports.PARTS_OF_SPLIT, self.uid, page_size(first))

    @described("What stands in two of its roles, up to `first` of each kind; empty where scores can be trusted.")
    async def leaks(self, info: Info, first: int = DEFAULT_PAGE) -> list[Leak]:
        return await info.context.catalog.leaks(self.uid, page_size(first))


@strawberry.type(description="Something in two roles of a split, so that a score would be of what was learnt.")
class Leak:
    kind: str = strawberry.field(description="overlap, gap, equal_frames or same_draw")
    message: str
    roles: list[str]
    sequence_uids: list[strawberry.ID] = strawberry.field(description="In the order of the roles.")
    t_index: list[int] = strawberry.field(description="The first frame in question of each role.")


@strawberry.type(description="What a split does with a stretch of a sequence; t_index first … last, inclusive.")
class Part:
    role: str
    first: int
    last: int
    split_uid: strawberry.Private[str]
    sequence_uid: strawberry.Private[str]

    @strawberry.field
    async def split(self, info: Info) -> Split | None:
        return await info.context.catalog.one(Split, self.split_uid)

    @strawberry.field
    async def sequence(self, info: Info) -> Sequence | None:
        return await info.context.catalog.one(Sequence, self.sequence_uid)
