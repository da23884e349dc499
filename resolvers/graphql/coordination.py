"""Fields of coupling graphs: drawn, explained and relaxed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import asdict
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON

from graph.identity import digest
from graph.queries import coupling, relaxation
from graph.queries.coupling import Drawn
from nvp.coordinator.description import normal
from resolvers.graphql import present
from resolvers.graphql.context import Info
from resolvers.services import relaxation as service
from schema.connection import DEFAULT_PAGE, page_size
from schema.coordination import (
    Coupling,
    CouplingGraph,
    CouplingGraphInput,
    CouplingGraphResult,
    CouplingInput,
    ExplainResult,
    Explanation,
    OrderParameter,
    RelaxInput,
    RelaxResult,
    Term,
)
from schema.described import described, watched
from schema.relaxation import RelaxationStep


@strawberry.type
class CouplingQuery:
    @described("One coupling graph by name.")
    async def coupling_graph(self, info: Info, name: str) -> CouplingGraphResult:
        return cast("CouplingGraphResult", shown(await coupling.drawn(info.context.services.gateway, name)))

    @described("Names of coupling graphs in order; `after` is the last one seen.")
    async def coupling_graph_names(self, info: Info, first: int = DEFAULT_PAGE, after: str = "") -> list[str]:
        return await coupling.names(info.context.services.gateway, limit=page_size(first), after=after)

    @described("The free energy of a coupling graph's state, term by term; `eta` by key, else where it stands.")
    async def explain(self, info: Info, graph: str, eta: JSON | None = None) -> ExplainResult:
        found = await service.explain(info.context.services, graph, cast("Mapping[str, float]", eta or {}))
        return Explanation(
            energy=found.energy,
            keys=list(found.keys),
            eta=list(found.eta),
            gradient=list(found.gradient),
            curvature_bound=found.curvature_bound,
            terms=[Term(name=name, energy=energy, gradient_norm=norm) for name, energy, norm in found.terms],
        )


@strawberry.type
class CouplingMutation:
    @described("Write a coupling graph; order parameters that stay keep where they stand and what they measure.")
    async def upsert_coupling_graph(self, info: Info, input: CouplingGraphInput) -> CouplingGraphResult:
        description = normal(
            {
                "modules": [
                    {"key": each.key, "kind": each.kind, "params": each.params, "term": each.term}
                    for each in input.modules
                ],
                "couplings": [coupling_of(each) for each in input.couplings],
                "weights": input.weights,
                "deltas": input.deltas,
                "gamma": input.gamma,
                "tau": input.tau,
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
        request = service.RelaxationRequest(
            graph=input.graph,
            settings=cast("Mapping[str, Any]", input.settings or {}),
            start=cast("Mapping[str, float]", input.start or {}),
            seed=input.seed,
            write_back=input.write_back,
            force=input.force,
        )
        row = await service.submit_relaxation(info.context.services, request)
        return cast("RelaxResult", present.submitted(row))


@strawberry.type
class CouplingSubscription:
    @watched("The kept steps of a relaxation in order, as soon as they are recorded.")
    async def relaxation_step(self, info: Info, run: strawberry.ID) -> AsyncGenerator[RelaxationStep, None]:
        gateway, last = info.context.services.gateway, -1
        async with aclosing(info.context.hub.watch(run, after=None)) as changes:
            async for row in changes:
                if row.kind != "relaxation":
                    return
                if row.finished:
                    while steps := await relaxation.steps_of(gateway, run, limit=200, after=last):
                        for step in steps:
                            yield RelaxationStep(**asdict(step))
                        last = steps[-1].index


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
        digest=digest(description),
        gamma=description["gamma"],
        tau=description["tau"],
        weights=description["weights"],
        deltas=description["deltas"],
        modules=[
            OrderParameter(
                key=each["key"],
                kind=each["kind"],
                params=each["params"],
                term=each["term"] or None,
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
