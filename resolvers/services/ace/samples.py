"""Samples: what evaluations that count sequences are asked, and what their tables say of each sub-hypothesis.

A sub-hypothesis is about the value of one forecaster at one lead, or about that less a baseline's on the same starts.
Pooled, a fidelity weighs each sequence by its change, as `nvp.thermo.scores` has it; a largest residual is the largest
of all; every other measure is a mean over pairs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from graph.gateway import Gateway
from graph.queries import evaluation
from graph.queries.evaluation import Stretch
from nvp.prediction.windows import WELL_WINDOWS
from resolvers.ace import verdicts
from resolvers.ace.claims import Claim
from resolvers.ace.expansion import Plan, SubHypothesis
from resolvers.ace.metrics import BASELINES
from resolvers.ace.verdicts import Sample, Verdict

CHECKPOINT = "model"
"""What tables call the checkpoint's own forecasts."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One forecaster at one lead of one sequence: value (NaN where nothing can be scored), starts, Σ‖T − O‖²."""

    value: float
    pairs: int
    change: float


# by uid of the sequence (or day), forecaster and lead
Table = Mapping[str, Mapping[str, Mapping[int, Cell]]]


def who(claim: Claim) -> str:
    """Whose forecasts a claim is about."""
    return claim.model if claim.model is not None and claim.model in BASELINES else CHECKPOINT


def asked(plan: Plan) -> dict[str, Any]:
    """What an evaluation is to say for all sub-hypotheses of a plan: `config["samples"]`."""
    leads: dict[str, set[int]] = {}
    for part in plan.parts:
        for one in (who(part.claim), part.claim.versus):
            if one is not None:
                leads.setdefault(one, set()).add(part.claim.horizon)
    perturbation = plan.claim.perturbation
    return {
        "metric": plan.claim.metric,
        "model": who(plan.claim),
        "leads": {name: sorted(wanted) for name, wanted in leads.items()},
        **({} if perturbation is None else {"perturbation": asdict(perturbation)}),
    }


def evaluation_config(
    plan: Plan, *, checkpoint: str, stretches: Iterable[Stretch], left_out: str | None
) -> dict[str, Any]:
    """The config of the evaluation run that says it of these stretches."""
    return {
        "checkpoints": [checkpoint],
        "parts": [asdict(one) for one in stretches],
        "stride": 1,
        "horizon": plan.claim.horizon,
        "windows": [list(window) for window in WELL_WINDOWS],
        "forcing": "frozen",
        "rollouts": 64,
        "drift": 0,
        "samples": asked(plan),
        **({} if left_out is None else {"left_out": left_out}),
    }


async def read(gateway: Gateway, evaluations: Sequence[str]) -> Table:
    """The tables of some evaluations as one, in their order."""
    table: dict[str, Mapping[str, Mapping[int, Cell]]] = {}
    for uid in evaluations:
        row = await evaluation.evaluation(gateway, uid)
        for unit, values in row.scores["samples"]["values"].items():
            table.setdefault(
                unit,
                {
                    name: {
                        int(lead): Cell(math.nan if value is None else value, pairs, change)
                        for lead, (value, pairs, change) in leads.items()
                    }
                    for name, leads in values.items()
                },
            )
    return table


def drawn(rounds: Iterable[Mapping[str, Any]]) -> list[str]:
    """The sequences that rounds (what came of `execute` in each) have looked at, in the order that was drawn."""
    return [uid for outputs in rounds for uid in outputs["sequences"]]


def in_order(table: Table, sequences: Sequence[str]) -> Table:
    """The table in the order that was drawn: a test that stops is fair to no other."""
    place = {uid: at for at, uid in enumerate(sequences)}
    return dict(sorted(table.items(), key=lambda row: (place.get(row[0].partition("@")[0], len(place)), row[0])))


def judged(plan: Plan, table: Table, *, prior: float, budget_gone: bool = False) -> Verdict:
    """The verdict on a table in its order; its headline pools the sequences that were looked at."""
    samples = [
        Sample(uid=uid, values={part.name: _value(part, values) for part in plan.parts})
        for uid, values in table.items()
    ]
    drawn = "days" if any("@" in uid for uid in table) else "sequences"
    first = verdicts.judge(plan, samples, prior=prior, drawn=drawn, budget_gone=budget_gone)
    rows = [table[uid] for uid in first.cited]
    headline = {part.name: pooled for part in plan.parts if math.isfinite(pooled := _pooled(part, rows))}
    return verdicts.judge(plan, samples, headline=headline, prior=prior, drawn=drawn, budget_gone=budget_gone)


def pooled(metric: str, cells: Sequence[Cell]) -> float:
    """One measure over several sequences; NaN where none of them has it."""
    seen = [cell for cell in cells if math.isfinite(cell.value)]
    if not seen:
        return math.nan
    if metric == "closure":
        return max(cell.value for cell in seen)
    weights = [cell.change if metric == "fidelity" else float(cell.pairs) for cell in seen]
    if sum(weights) == 0:
        return math.nan
    if metric == "fidelity":
        wrong = sum((1 - cell.value) ** 2 * weight for cell, weight in zip(seen, weights, strict=True))
        return 1 - math.sqrt(wrong / sum(weights))
    return sum(cell.value * weight for cell, weight in zip(seen, weights, strict=True)) / sum(weights)


def _value(part: SubHypothesis, values: Mapping[str, Mapping[int, Cell]]) -> float:
    claim = part.claim
    own = values[who(claim)][claim.horizon].value
    return own if claim.versus is None else own - values[claim.versus][claim.horizon].value


def _pooled(part: SubHypothesis, rows: Sequence[Mapping[str, Mapping[int, Cell]]]) -> float:
    claim = part.claim

    def of(name: str) -> float:
        return pooled(claim.metric, [values[name][claim.horizon] for values in rows])

    return of(who(claim)) if claim.versus is None else of(who(claim)) - of(claim.versus)
