"""The demo: a domain simulated, a predictor trained, scored, asked and put to the test, all by GraphQL.

It asks for the same runs each time, so a second demo finds the first one's and adds nothing to the graph.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from resolvers.client import Client

GENERATE = """
mutation Generate($input: GenerateInput!) {
  generate(input: $input) { __typename ... on GenerationRun { uid } ... on Problem { code message } }
}
"""

SEQUENCES = """
query Sequences($run: ID!) {
  run(uid: $run) { ... on GenerationRun { sequences(first: 200) { uid } } }
}
"""

TRAIN = """
mutation Train($input: TrainInput!) {
  train(input: $input) { __typename ... on TrainingRun { uid } ... on Problem { code message } }
}
"""

TRAINED = """
query Trained($run: ID!) {
  run(uid: $run) {
    ... on TrainingRun {
      model { bestCheckpoint { uid } split { parts(first: 200) { role sequence { uid } } } }
    }
  }
}
"""

EVALUATE = """
mutation Evaluate($input: EvaluateInput!) {
  evaluate(input: $input) { __typename ... on EvaluationRun { uid } ... on Problem { code message } }
}
"""

SCORES = """
query Scores($run: ID!) {
  run(uid: $run) { ... on EvaluationRun { evaluations(first: 1) { scores } } }
}
"""

START = """
query Start($sequence: ID!, $after: Int!) {
  sequence(uid: $sequence) { snapshots(first: $after) { edges { node { uid } } } }
}
"""

PREDICT = """
mutation Predict($input: PredictInput!) {
  predict(input: $input) { __typename ... on PredictionRun { uid } ... on Problem { code message } }
}
"""


SPAWN = """
mutation Spawn($input: SpawnAceInput!) {
  spawnAce(input: $input) { __typename ... on ACERun { uid } ... on Problem { code message } }
}
"""

VERDICT = """
query Verdict($run: ID!) {
  aceRun(uid: $run) { verdict certificate { digest } tests(first: 1) { result credence } }
}
"""


CERTIFICATE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoConfig:
    """What the demo simulates, trains, predicts and claims."""

    domain: str = "fluid_dynamics"
    # sequences to simulate: about two thirds train, the rest choose and test
    sequences: int = 40
    # cells per side
    scale: int = 64
    # frames per sequence
    steps: int = 30
    # size of the predictor
    model: str = "TINY"
    # seconds of training, compilation included
    seconds: float = 90.0
    # root of everything random
    seed: int = 0
    # leads of the rollout, and the frame of a held-out sequence that it starts from
    rollout: int = 6
    start: int = 8
    # what is claimed of the predictor, and what testing it may spend
    claim: str = "on {domain} checkpoint {checkpoint} keeps fidelity above 0.3"
    budget: str = "5kJ"


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What came of it."""

    # as `fieldgraph evaluate` prints them
    scores: Mapping[str, Any]
    checkpoint: str
    # what was simulated
    sequences: tuple[str, ...]
    # a held-out snapshot and the rollout from it
    start: str
    # the experiment, what it claims, its verdict in a word and a sentence, and its certificate's digest
    experiment: str
    claim: str
    verdict: str
    reading: str
    certificate: str | None
    # seconds of each step
    steps: Mapping[str, float]

    @property
    def passed(self) -> bool:
        """Whether the pooled fidelity's 95 % interval lies above persistence (0) and linear extrapolation."""
        low: float = self.scores["fidelity"]["ci95"][0]
        linear: float = self.scores["baselines"]["linear_extrapolation"]["pooled"]
        return low > max(0.0, linear)


# called with the step's name, its progress (0 … 1) and a message
OnProgress = Callable[[str, float, str], None]


async def run_demo(client: Client, config: DemoConfig, *, on_progress: OnProgress) -> DemoResult:
    """Simulate, train, evaluate, predict and test a claim by GraphQL."""
    seconds: dict[str, float] = {}

    async def step(name: str, document: str, **given: Any) -> str:
        began = time.monotonic()
        run = await client.mutate(document, input=given)
        await client.finish(run, on_progress=lambda done, message: on_progress(name, done, message))
        seconds[name] = round(time.monotonic() - began, 2)
        return run

    generation = await step(
        "simulate",
        GENERATE,
        domain=config.domain,
        sequences=config.sequences,
        seed=config.seed,
        settings={"scale": config.scale, "steps": config.steps},
    )
    made = (await client.execute(SEQUENCES, run=generation))["run"]["sequences"]
    sequences = tuple(sequence["uid"] for sequence in made)
    training = await step(
        "train",
        TRAIN,
        sequences=sequences,
        model=config.model,
        seconds=config.seconds,
        seed=config.seed,
    )
    model = (await client.execute(TRAINED, run=training))["run"]["model"]
    checkpoint = model["bestCheckpoint"]["uid"]
    evaluation = await step("evaluate", EVALUATE, checkpoints=[checkpoint])
    scores = (await client.execute(SCORES, run=evaluation))["run"]["evaluations"][0]["scores"]

    held_out = next(part for part in model["split"]["parts"] if part["role"] == "test")["sequence"]["uid"]
    frames = (await client.execute(START, sequence=held_out, after=config.start + 1))["sequence"]["snapshots"]
    start = frames["edges"][-1]["node"]["uid"]
    await step("predict", PREDICT, checkpoint=checkpoint, snapshot=start, steps=config.rollout)
    claim = config.claim.format(domain=config.domain, checkpoint=checkpoint)
    experiment = await step("test", SPAWN, hypothesis=claim, budget=config.budget, seed=config.seed)
    found = await _verdict(client, experiment)
    return DemoResult(
        scores=scores,
        checkpoint=checkpoint,
        sequences=sequences,
        start=start,
        experiment=experiment,
        claim=claim,
        verdict=found["verdict"].lower(),
        reading=found["tests"][0]["result"]["reading"],
        certificate=found["certificate"] and found["certificate"]["digest"],
        steps=seconds,
    )


async def _verdict(client: Client, experiment: str) -> dict[str, Any]:
    """What an experiment found; a certificate is issued right behind its end, so it is waited for a moment."""
    deadline = time.monotonic() + CERTIFICATE_SECONDS
    while True:
        found: dict[str, Any] = (await client.execute(VERDICT, run=experiment))["aceRun"]
        if found["certificate"] is not None or found["verdict"] == "UNDETERMINED" or time.monotonic() > deadline:
            return found
        await asyncio.sleep(0.2)
