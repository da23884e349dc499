"""Hypotheses, and how experiments test them: stages, votes and the evidence either way."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from schema import ports
from schema.connection import DEFAULT_PAGE, page_size
from schema.described import described
from schema.enums import Verdict
from schema.fields import Domain
from schema.node import Identified
from schema.ports import Info
from schema.predictions import Evaluation

if TYPE_CHECKING:
    from schema.runs import ACERun


@strawberry.type(description="One stage of an experiment in one round: what went in, what came out, what that took.")
class Stage:
    uid: strawberry.ID
    name: str = strawberry.field(
        description="spawn, compose, plan, schedule, execute, verify (which may lead back to compose), report, retire."
    )
    position: int = strawberry.field(description="Its place among the eight, from 1.")
    round: int = strawberry.field(description="From 1.")
    state: str = strawberry.field(description="RUNNING or DONE.")
    attempt: int = strawberry.field(description="Of the run when it was last begun: above 1 after a lost worker.")
    inputs: JSON
    outputs: JSON | None
    started_at: datetime
    finished_at: datetime | None
    energy_joules: float | None
    energy_source: str | None
    seconds: float | None


@strawberry.type(description="What one member of a shadow ensemble said in one round.")
class Vote:
    uid: strawberry.ID
    round: int
    member: int
    sha256: str = strawberry.field(description="Of its parameters: tells members apart.")
    agrees: bool
    starts: int | None = strawberry.field(description="Predictions that it voted on.")
    agreed: int | None = strawberry.field(description="Those where it was one of the quorum.")
    at: datetime


@strawberry.type(description="An evaluation that speaks for a hypothesis or against it.")
class Evidence:
    supports: bool
    weight: float = strawberry.field(description="log10 of the Bayes factor of all evidence of that run together.")
    run_uid: strawberry.ID = strawberry.field(description="The experiment that cites it.")
    evaluation_uid: strawberry.Private[str]

    @strawberry.field
    async def evaluation(self, info: Info) -> Evaluation | None:
        return await info.context.catalog.one(Evaluation, self.evaluation_uid)


@strawberry.type(description="What one experiment made of one hypothesis; null until it has settled it.")
class HypothesisTest:
    verdict: Verdict | None
    prior: float | None = strawberry.field(description="Credence before.")
    credence: float | None = strawberry.field(description="Credence after.")
    weight: float | None = strawberry.field(description="log10 of the Bayes factor: above 0 it speaks for the claim.")
    result: JSON | None = strawberry.field(description="Effect, interval, sub-hypotheses, caveats: all that was found.")
    taken_at: datetime
    settled_at: datetime | None
    run_uid: strawberry.Private[str]
    hypothesis_uid: strawberry.Private[str]

    @strawberry.field
    async def hypothesis(self, info: Info) -> Annotated[Hypothesis, strawberry.lazy("schema.hypotheses")] | None:
        return await info.context.catalog.one(Hypothesis, self.hypothesis_uid)

    @strawberry.field
    async def run(self, info: Info) -> Annotated["ACERun", strawberry.lazy("schema.runs")] | None:
        from schema.runs import ACERun

        return await info.context.catalog.one(ACERun, self.run_uid)


@strawberry.type(description="A sentence and the claim that it makes: one number that must lie above or below another.")
class Hypothesis(Identified):
    uid: strawberry.ID
    key: str | None = strawberry.field(description="sha256 of the claim; null where one was drawn by hand.")
    text: str
    claim: JSON | None
    credence: float | None = strawberry.field(description="0 ... 1, now.")
    verdict: Verdict = strawberry.field(description="Of the experiment that settled it last.")
    created_at: datetime | None
    settled_at: datetime | None
    domain_name: strawberry.Private[str | None]

    @strawberry.field
    async def domain(self, info: Info) -> Domain | None:
        return None if self.domain_name is None else await info.context.catalog.one(Domain, self.domain_name)

    @described("What it was asked after.")
    async def refines(
        self, info: Info, first: int = DEFAULT_PAGE
    ) -> list[Annotated[Hypothesis, strawberry.lazy("schema.hypotheses")]]:
        return await info.context.catalog.related(ports.REFINES, self.uid, page_size(first))

    @described("What was asked after it, latest first.")
    async def refined_by(
        self, info: Info, first: int = DEFAULT_PAGE
    ) -> list[Annotated[Hypothesis, strawberry.lazy("schema.hypotheses")]]:
        return await info.context.catalog.related(ports.REFINED_BY, self.uid, page_size(first))

    @described("The experiments that test it, latest first.")
    async def tests(self, info: Info, first: int = DEFAULT_PAGE) -> list[HypothesisTest]:
        return await info.context.catalog.related(ports.TESTS_OF_HYPOTHESIS, self.uid, page_size(first))

    @described("What speaks for it and against it.")
    async def evidence(self, info: Info, first: int = DEFAULT_PAGE) -> list[Evidence]:
        return await info.context.catalog.related(ports.EVIDENCE, self.uid, page_size(first))
