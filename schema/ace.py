"""Experiments asked for: a hypothesis in words or as a claim, and the answer: a run, a question back, or why not."""

from __future__ import annotations

from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from schema.enums import ShadowSize
from schema.hypotheses import Hypothesis
from schema.inputs import CLIENT_KEY
from schema.results import Conflict, InvalidInput, NotFound
from schema.runs import ACERun


@strawberry.input(description="Test a hypothesis by experiment: in words, or as a claim.")
class SpawnAceInput:
    hypothesis: str | None = strawberry.field(
        default=None, description="A plain sentence; or the words for `claim`, which then decides."
    )
    claim: JSON | None = strawberry.field(
        default=None, description="metric, comparator, threshold, domain, ...: as `Hypothesis.claim` has it."
    )
    budget: str | None = strawberry.field(
        default=None, description="What it may spend with all its children: 500J, 2kJ or 90s. Null: 5kJ."
    )
    shadows: int | None = strawberry.field(default=None, description="Members of the shadow ensemble; null: 3.")
    shadow_size: ShadowSize | None = strawberry.field(default=None, description="How large they are; null: TINY.")
    shadow_steps: int | None = strawberry.field(default=None, description="Steps for which each is trained; null: 30.")
    max_rounds: int | None = strawberry.field(default=None, description="How often it may go on; null: 3.")
    seed: int = 0
    force: bool = strawberry.field(default=False, description="A new run even where the same was asked before.")
    client_key: str | None = CLIENT_KEY


@strawberry.input(description="Put a hypothesis into the graph, untested: a sentence, or a claim in your own words.")
class ConfirmHypothesisInput:
    text: str
    claim: JSON | None = strawberry.field(default=None, description="What you mean by it; null: as the sentence says.")
    credence: float = strawberry.field(default=0.5, description="How sure you are, 0 ... 1.")
    refines: strawberry.ID | None = strawberry.field(default=None, description="The hypothesis that it is asked after.")


@strawberry.type(description="A sentence that leaves something open: what has to be said, and answers to choose from.")
class Question:
    question: str
    options: list[str]
    message: str = strawberry.field(description="What was expected.")


@strawberry.type(description="What a language model takes a text to claim, for you to confirm; nothing was written.")
class HypothesisProposal:
    text: str
    sentence: str = strawberry.field(description="The claim in plain words.")
    claim: JSON = strawberry.field(description="For `confirmHypothesis` or `spawnAce`, once you have looked at it.")
    assumed: list[str] = strawberry.field(description="What the claim has and the text does not.")
    by: str = strawberry.field(description="The language model.")


TranslateHypothesisResult = Annotated[
    HypothesisProposal | Question | InvalidInput, strawberry.union("TranslateHypothesisResult")
]
SpawnAceResult = Annotated[ACERun | Question | InvalidInput | NotFound | Conflict, strawberry.union("SpawnAceResult")]
ConfirmHypothesisResult = Annotated[
    Hypothesis | Question | InvalidInput | NotFound, strawberry.union("ConfirmHypothesisResult")
]
