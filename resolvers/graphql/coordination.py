"""Fields of coupling graphs: drawn, explained and relaxed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON

from graph.errors import GraphError
from graph.queries import coupling, relaxation
from graph.queries.drawing import Drawn
from graph.queries.runs import RunRow
from nvp.coordinator.candidates import Candidate
from nvp.coordinator.config import RelaxConfig
from nvp.coordinator.description import normal
from nvp.coordinator.grid import Axis
from resolvers.graphql import present
from resolvers.graphql.context import Info
from resolvers.services import coupling as service
from resolvers.services.expansion import ExpansionRequest, submit_expansion
from resolvers.services.gates import record_benefits
from resolvers.services.relaxation import RelaxationRequest, rehearse_relaxation, submit_relaxation
from resolvers.services.residuals import TOLERANCE, draw_residuals
from resolvers.services.sweep import SweepRequest, submit_sweep
from schema import ports
from schema.connection import DEFAULT_PAGE, MAX_PAGE, page_size
from schema.coordination import (
    BenefitsResult,
    Coupling,
    CouplingGraph,
    CouplingGraphInput,
    CouplingGraphResult,
    CouplingInput,
    ExpansionInput,
    ExpansionResult,
    ExplainResult,
    Explanation,
    ModuleInput,
    OrderParameter,
    RecordedBenefits,
    RelaxInput,
    RelaxResult,
    SweepInput,
    SweepResult,
)
from schema.described import described, watched
from schema.relaxation import RelaxationStep, Term


@strawberry.type
class CouplingQuery:
    @described("One coupling graph by name.")
    async def coupling_graph(self, info: Info, name: str) -> CouplingGraphResult:
        return cast("CouplingGraphResult", shown(await coupling.drawn(info.context.services.gateway, name)))

    @described("Names of coupling graphs in order; `after` is the last one seen.")
    async def coupling_graph_names(self, info: Info, first: int = DEFAULT_PAGE, after: str = "") -> list[str]:
        return await coupling.names(info.context.services.gateway, limit=page_size(first), after=after)

    @described("The free energy of a coupling graph's state, term by term; `eta` by key, else where it stands.")
    async def explain(
        self, info: Info, graph: str, eta: JSON | None = None, step_size: float = RelaxConfig().step_size
    ) -> ExplainResult:
        given = cast("Mapping[str, float]", eta or {})
        return _explanation(await service.explain(info.context.services, graph, given, step_size=step_size))


@strawberry.type
class CouplingMutation:
    @described("Write a coupling graph; order parameters that stay keep where they stand and what they measure.")
    async def upsert_coupling_graph(self, info: Info, input: CouplingGraphInput) -> CouplingGraphResult:
        description = normal(
            {
                "modules": [{"key": each.key, **module_of(each)} for each in input.modules],
                "couplings": [coupling_of(each) for each in input.couplings],
                "weights": input.weights,
                "deltas": input.deltas,
                "gamma": input.gamma,
                "tau": input.tau,
                "budget": input.budget,
                "allow_missing_delta": input.allow_missing_delta,
            }
        )
        written = await coupling.upsert(
            info.context.services.gateway,
            input.name,
            description,
            title=input.title,
            expected_version=input.expected_version,
        )
        return cast("CouplingGraphResult", shown(written))

    @described("Add one coupling to a graph.")
    async def add_coupling(self, info: Info, graph: str, coupling: CouplingInput) -> CouplingGraphResult:
        written = await service.add_coupling(info.context.services, graph, coupling_of(coupling))
        return cast("CouplingGraphResult", shown(written))

    @described("Relax a coupling graph; the run's steps are its trail.")
    async def relax_coupling_graph(self, info: Info, input: RelaxInput) -> RelaxResult:
        request = RelaxationRequest(
            graph=input.graph,
            settings=cast("Mapping[str, Any]", input.settings or {}),
            start=cast("Mapping[str, float]", input.start or {}),
            seed=input.seed,
            write_back=input.write_back,
            force=input.force,
        )
        if input.dry_run:
            return _explanation(await rehearse_relaxation(info.context.services, request))
        row = await submit_relaxation(info.context.services, request, client_key=input.client_key)
        return cast("RelaxResult", present.submitted(row))

    @described("Relax a coupling graph at every point of a grid.")
    async def sweep_coupling_graph(self, info: Info, input: SweepInput) -> SweepResult:
        request = SweepRequest(
            graph=input.graph,
            axes=[Axis(path=axis.path, values=tuple(axis.values)) for axis in input.axes],
            settings=cast("Mapping[str, Any]", input.settings or {}),
            start=cast("Mapping[str, float]", input.start or {}),
            seed=input.seed,
            force=input.force,
        )
        row = await submit_sweep(info.context.services, request, client_key=input.client_key)
        return cast("SweepResult", present.submitted(row))

    @described("Weigh modules that a coupling graph might be given; with `apply`, add those that survive.")
    async def propose_expansion(self, info: Info, input: ExpansionInput) -> ExpansionResult:
        request = ExpansionRequest(
            graph=input.graph,
            candidates=[
                Candidate(
                    key=each.module.key,
                    module=module_of(each.module),
                    couplings=[coupling_of(one) for one in each.couplings],
                    deltas=service.by_name("deltas", each.deltas or {}),
                )
                for each in input.candidates
            ],
            gamma=input.gamma,
            tau=input.tau,
            keep=input.keep,
            apply=input.apply,
            settings=cast("Mapping[str, Any]", input.settings or {}),
            start=cast("Mapping[str, float]", input.start or {}),
            seed=input.seed,
            force=input.force,
        )
        row = await submit_expansion(info.context.services, request, client_key=input.client_key)
        return cast("ExpansionResult", present.submitted(row))

    @described("Draw a prediction as a coupling graph: how far each of its states keeps the laws.")
    async def draw_residuals(
        self, info: Info, prediction: strawberry.ID, name: str, tolerance: float = TOLERANCE
    ) -> CouplingGraphResult:
        drawn = await draw_residuals(info.context.services, prediction, name, tolerance=tolerance)
        return cast("CouplingGraphResult", shown(drawn))

    @described("Record what gates of a relaxation turned out to be worth: `benefits` by key, all of them or none.")
    async def record_benefits(self, info: Info, run: strawberry.ID, benefits: JSON) -> BenefitsResult:
        await record_benefits(info.context.services, run, cast("Mapping[str, float]", benefits))
        return RecordedBenefits(gates=await info.context.catalog.related(ports.GATES_OF_RELAXATION, run, MAX_PAGE))


@strawberry.type
class CouplingSubscription:
    @watched("The kept steps of a relaxation in order, as soon as they are recorded.")
    async def relaxation_step(self, info: Info, run: strawberry.ID) -> AsyncGenerator[RelaxationStep, None]:
        gateway, last = info.context.services.gateway, -1
        async with aclosing(info.context.hub.watch(run, after=None)) as changes:
            async for row in changes:
                if row.kind != "relaxation" or row.state in ("FAILED", "CANCELLED"):
                    raise _without_steps(row)
                if row.finished:
                    while steps := await relaxation.steps_of(gateway, run, limit=200, after=last):
                        for step in steps:
                            yield RelaxationStep(**asdict(step))
                        last = steps[-1].index


def _without_steps(row: RunRow) -> GraphError:
    """Why there is nothing to watch."""
    other = row.kind != "relaxation"
    return GraphError(
        "NOT_RELAXED",
        f"expected a relaxation with steps, got {row.uid!r}, "
        + (f"a run of kind {row.kind}." if other else f"which is {row.state}: {row.error_message or 'no message'}."),
        next_step="Watch it by `runProgress`." if other else "Mend what it says, and relax again.",
    )


def _explanation(found: service.Explanation) -> Explanation:
    return Explanation(
        energy=found.energy,
        keys=list(found.keys),
        eta=list(found.eta),
        gradient=list(found.gradient),
        curvature_bound=found.curvature_bound,
        row_bounds=list(found.row_bounds),
        margin=found.margin,
        row_margins=list(found.row_margins),
        terms=[Term(name=name, energy=energy, gradient_norm=norm) for name, energy, norm in found.terms],
    )


def module_of(given: ModuleInput) -> dict[str, Any]:
    """The module as a description has it, without its key."""
    return {"kind": given.kind, "params": given.params, "term": given.term, "cost": given.cost}


def coupling_of(given: CouplingInput) -> dict[str, Any]:
    """The coupling as a description has it."""
    return {
        "kind": given.kind,
        "from": given.start,
        "to": given.end,
        "params": given.params,
        "delta": given.delta,
        "term": given.term,
    }


def shown(drawn: Drawn) -> CouplingGraph:
    """A coupling graph as it is stored; it need not be one that can be relaxed."""
    description = drawn.description
    return CouplingGraph(
        name=drawn.name,
        uid=strawberry.ID(drawn.uid) if drawn.uid else None,
        version=drawn.version,
        digest=drawn.digest,
        gamma=description["gamma"],
        tau=description["tau"],
        budget=description["budget"],
        weights=description["weights"],
        deltas=description["deltas"],
        modules=[
            OrderParameter(
                key=each["key"],
                kind=each["kind"],
                params=each["params"],
                term=each["term"] or None,
                cost=each["cost"],
                eta=drawn.eta.get(each["key"]),
            )
            for each in description["modules"]
        ],
        couplings=[
            Coupling(
                kind=each["kind"],
                start=each["from"],
                end=each["to"],
                params=each["params"],
                delta=each["delta"] or None,
                term=each["term"] or None,
            )
            for each in description["couplings"]
        ],
    )
