"""An evaluation for people: the headline beside its baselines, the leads, and what the laws say, in short tables."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table

# columns of a terminal that the tables fit into
_WIDTH = 110
# of a long rollout, the leads that are shown
_SHOWN = (1, 2, 3, 4, 6, 8, 12, 16, 24, 30, 50, 100)
# measures of lead 1 in their order, and what the best value is
_METRICS = (
    ("nrmse", "nRMSE (APEBench)", "0"),
    ("gradient_cosine", "cosine of gradients", "1"),
    ("change_gradient_cosine", "cosine of gradients of the change", "1"),
    ("spectrum_log_error", "error of the spectrum (decades)", "0"),
    ("fine_structure", "power in fine structure", "1"),
    ("entropy_change_error", "error of the change of entropy", "0"),
    ("total_error", "error of the total", "0"),
    ("total_energy_fidelity", "total energy fidelity (blind to fields)", "1"),
    ("field_fidelity", "field fidelity (forgiving)", "1"),
)


def report(scores: Mapping[str, Any]) -> str:
    """As text, without colours."""
    out = StringIO()
    head = f"learnt from {scores['learnt_from']}" if "learnt_from" in scores else None
    tables = [_headline(scores), _leads(scores), _windows(scores), _metrics(scores)]
    Console(file=out, width=_WIDTH, highlight=False, color_system=None).print(
        Group(*(part for part in (head, *tables) if part is not None))
    )
    lines = [*_laws(scores), f"run {scores['run']}"] if "run" in scores else _laws(scores)
    return "\n".join(line.rstrip() for line in (*out.getvalue().strip("\n").split("\n"), *lines))


def _headline(scores: Mapping[str, Any]) -> Table:
    table = _table("fidelity at lead 1", "pooled", "95 % interval", "mean", "median", "pairs")
    baselines = dict(scores["baselines"])
    known = {f"known physics, {name}": score for name, score in baselines.pop("known_physics").items()}
    rows = {"model": scores["fidelity"], **baselines, **known}
    for name, score in rows.items():
        if score:
            low, high = score["ci95"]
            interval = "" if low is None else f"{low:.3f} … {high:.3f}"
            numbers = (_number(score["pooled"]), interval, _number(score["mean"]), _number(score["median"]))
            table.add_row(name.replace("_", " "), *numbers, str(score["n"]), style="bold" if name == "model" else None)
    return table


def _leads(scores: Mapping[str, Any]) -> Table | None:
    """Fidelity of each lead; only where there are several."""
    rollout = scores.get("rollout") or []
    if len({lead["lead"] for lead in rollout}) < 2:
        return None
    kinds = list(dict.fromkeys(lead["forcing"] for lead in rollout))
    by = {(lead["lead"], lead["forcing"]): lead for lead in rollout}
    last = max(lead for lead, _ in by)
    heads = [f"{what} ({kind})" for kind in kinds for what in ("fidelity", "vrmse")]
    table = _table("lead", *heads, "persistence vrmse", "known physics (frozen)")
    for lead in sorted({*(n for n in _SHOWN if n < last), last}):
        found = [by[lead, kind] for kind in kinds]
        numbers = [_number(value) for one in found for value in (one["fidelity"]["pooled"], one["vrmse"])]
        best = found[0]["baselines"]["known_physics"]["frozen"]
        known = _number(best["pooled"]) if best else "–"
        table.add_row(str(lead), *numbers, _number(found[0]["persistence_vrmse"]), known)
    return table


def _windows(scores: Mapping[str, Any]) -> Table | None:
    if not (windows := scores.get("windows")):
        return None
    table = _table("VRMSE of steps", "forcing", "model", "persistence")
    for one in windows:
        table.add_row(one["window"], one["forcing"], _number(one["vrmse"]), _number(one["persistence_vrmse"]))
    return table


def _metrics(scores: Mapping[str, Any]) -> Table:
    table = _table("at lead 1", "model", "persistence", "best")
    table.add_row("VRMSE", _number(scores["vrmse"]), _number(scores["persistence_vrmse"]), "0")
    for name, title, best in _METRICS:
        if found := scores.get("metrics", {}).get(name):
            table.add_row(title, _number(found["model"]), _number(found["persistence"]), best)
    return table


def _laws(scores: Mapping[str, Any]) -> list[str]:
    """What the laws of the domain and the model's own variance say, a line each; nothing of what does not apply."""
    lines = []
    if law := scores.get("conservation"):
        lines.append(
            f"first law closes to {_number(law['residual'], '.1e')} (data: {_number(law['data_residual'], '.1e')})"
        )
    if law := scores.get("second_law"):
        lines.append(f"entropy falls in {_share(law['violations'])} of pairs (data: {_share(law['data_violations'])})")
    if law := scores.get("negative"):
        lines.append(f"negative cells in {_share(law['share'])} of fields (data: {_share(law['data_share'])})")
    if drift := scores.get("drift"):
        lines.append(
            f"after {drift['steps']} steps the total is off by {_number(drift['total'], '.1e')}; "
            f"largest gain of a step {_number(drift['gain'], '.1e')}"
        )
    if found := scores.get("calibration"):
        lines.append(
            f"of the truth, {_share(found['coverage90'])} lies within the 90 % interval; spread/skill "
            f"{_number(found['spread_skill'])}; CRPS {_number(found['crps'])} "
            f"(persistence: {_number(found['persistence_crps'])})"
        )
    return lines


def _table(first: str, *others: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _number(value: float | None, form: str = ".4f") -> str:
    return "–" if value is None else format(value, form)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"
