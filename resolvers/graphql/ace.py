"""Fields of hypotheses and of the experiments that test them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import fields
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON

from graph.queries import ace, hypotheses
from resolvers.ace.translation import translate
from resolvers.graphql import present
from resolvers.graphql.context import Info
from resolvers.services.ace_request import AceRequest, claimed, submit_ace
from schema import ports
from schema.ace import (
    ConfirmHypothesisInput,
    ConfirmHypothesisResult,
    HypothesisProposal,
    SpawnAceInput,
    SpawnAceResult,
    TranslateHypothesisResult,
)
from schema.connection import DEFAULT_PAGE, Connection
from schema.described import described, watched
from schema.enums import Verdict
from schema.hypotheses import Hypothesis, Stage
from schema.runs import ACERun


@strawberry.type
class AceQuery:
    @described("One hypothesis.")
    async def hypothesis(self, info: Info, uid: strawberry.ID) -> Hypothesis | None:
        return await info.context.catalog.one(Hypothesis, uid)

    @described("Hypotheses, latest first: of one domain, with one verdict, or all.")
    async def hypotheses(
        self,
        info: Info,
        domain: str | None = None,
        verdict: Verdict | None = None,
        first: int = DEFAULT_PAGE,
        after: str | None = None,
    ) -> Connection[Hypothesis]:
        return await info.context.catalog.page(
            ports.HYPOTHESES, first=first, after=after, domain=domain, verdict=verdict
        )

    @described("One experiment; null for a run of another kind.")
    async def ace_run(self, info: Info, uid: strawberry.ID) -> ACERun | None:
        return await info.context.catalog.one(ACERun, uid)


@strawberry.type
class AceMutation:
    @described("Test a hypothesis by experiment; a sentence that leaves something open is answered by a question.")
    async def spawn_ace(self, info: Info, input: SpawnAceInput) -> SpawnAceResult:
        given = {
            "text": input.hypothesis,
            "claim": cast("Mapping[str, Any] | None", input.claim),
            "budget": input.budget,
            "shadows": input.shadows,
            "shadow_size": input.shadow_size and input.shadow_size.value,
            "shadow_steps": input.shadow_steps,
            "max_rounds": input.max_rounds,
        }
        request = AceRequest(
            **cast("dict[str, Any]", {name: value for name, value in given.items() if value is not None}),
            seed=input.seed,
            force=input.force,
        )
        row = await submit_ace(info.context.services, request, client_key=input.client_key)
        return cast("SpawnAceResult", present.submitted(row))

    @described("Ask the language model that is set up what a text claims: a proposal to confirm, nothing is written.")
    async def translate_hypothesis(self, info: Info, text: str) -> TranslateHypothesisResult:
        settings = info.context.services.settings
        made = await asyncio.to_thread(translate, text, model=settings.llm_model, timeout=settings.llm_timeout)
        return HypothesisProposal(
            text=made.text,
            sentence=made.sentence,
            claim=cast("JSON", made.claim.to_json()),
            assumed=list(made.assumed),
            by=made.by,
        )

    @described("Put a hypothesis into the graph as you mean it, untested; the same claim is the same hypothesis.")
    async def confirm_hypothesis(self, info: Info, input: ConfirmHypothesisInput) -> ConfirmHypothesisResult:
        claim = claimed(AceRequest(text=input.text, claim=cast("Mapping[str, Any] | None", input.claim)))
        row = await hypotheses.propose(
            info.context.services.gateway,
            text=input.text,
            claim=claim.to_json(),
            key=claim.key(),
            credence=input.credence,
            about=claim.domain,
            refines=input.refines,
        )
        return cast("ConfirmHypothesisResult", await info.context.catalog.one(Hypothesis, row.uid))


@strawberry.type
class AceSubscription:
    @watched("The stages of an experiment as they are, then each as it begins and ends, until the run does.")
    async def ace_stage(self, info: Info, run: strawberry.ID) -> AsyncGenerator[Stage, None]:
        gateway, seen = info.context.services.gateway, set[tuple[str, str, int]]()
        async with aclosing(info.context.hub.watch(run, after=None)) as changes:
            async for row in changes:
                if row.kind != "ace":
                    return
                for stage in await ace.stages(gateway, run):
                    change = stage.uid, stage.state, stage.attempt
                    if change not in seen:
                        seen.add(change)
                        yield shown(stage)


def shown(stage: ace.StageRow) -> Stage:
    """A stage as the API has it."""
    values = {field.name: getattr(stage, field.name) for field in fields(Stage)}
    return Stage(**{**values, "outputs": stage.outputs if stage.done else None})
