"""`fieldgraph log`: energy vectors, what was predicted beside what came."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

from graph.queries import listings, vector_logs
from graph.queries.vector_logs import SummaryRow
from graph.settings import Settings
from nvp.errors import FieldError
from nvp.thermo.vector_log import PLACE, Entry, VectorLog, summary
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run


class Group(StrEnum):
    """What entries are added up by."""

    DOMAIN = "domain"
    REGIME = "regime"


def command(
    by: Annotated[
        list[Group] | None, typer.Option(help="Add up by this; both, where given twice. Default: list entries.")
    ] = None,
    domain: Annotated[str | None, typer.Option(help="Only of this domain.")] = None,
    regime: Annotated[str | None, typer.Option(help="Only where the truth has this regime.")] = None,
    last: Annotated[int, typer.Option(min=1, max=200, help="How many entries to list, the latest.")] = 20,
    graph: Annotated[
        bool, typer.Option("--graph", help="Ask the graph, which all machines share, in place of this home's log.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show how predictions compared with what came: fidelities of the change, of the total and of the field.

    Example: fieldgraph log --by domain --by regime --json
    """
    # a group named twice is one
    groups = list(dict.fromkeys(group.value for group in by or ()))
    try:
        result = run(_graph(groups, domain, regime, last)) if graph else _file(groups, domain, regime, last)
    except FieldError as error:
        fail(error)
    emit(result, as_json=as_json, text=_text(result))


def _file(groups: list[Any], domain: str | None, regime: str | None, last: int) -> dict[str, Any]:
    path = Settings().home.absolute() / PLACE
    with Progress(
        TextColumn("log"), BarColumn(), DownloadColumn(), TimeElapsedColumn(),
        console=console, transient=True, disable=not console.is_terminal,
    ) as bar:  # fmt: skip
        task = bar.add_task("log", total=None)
        entries = VectorLog(path=path).read(
            domain=domain,
            regime=regime,
            progress=lambda done, of: bar.update(task, completed=done, total=of),
        )
        if groups:
            found = summary(entries, groups)
            return {"source": str(path), "n": sum(group["n"] for group in found), "groups": found}
        counted = _Counted(entries)
        kept = deque(counted, maxlen=last)
    return {"source": str(path), "n": counted.n, "entries": [asdict(entry) for entry in kept]}


class _Counted:
    """Entries, and how many there were."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self.n = 0

    def __iter__(self) -> Iterator[Entry]:
        for entry in self._entries:
            self.n += 1
            yield entry


async def _graph(groups: list[str], domain: str | None, regime: str | None, last: int) -> dict[str, Any]:
    where = {"domain": domain, "regime": regime}
    async with opened() as services:
        if groups:
            rows = await vector_logs.summary(services.gateway, groups, domain=domain, regime=regime)
            found = [_group(row, groups) for row in rows]
            return {"source": "graph", "n": sum(row.n for row in rows), "groups": found}
        lists = listings.select("prediction_logs", where)
        page = await listings.page(services.gateway, lists, limit=last, after=None, where=where)
        n = await listings.count(services.gateway, lists, where=where)
    # the latest last, as in the log
    return {"source": "graph", "n": n, "entries": [_entry(row.node) for row in reversed(page)]}


def _group(row: SummaryRow, groups: list[str]) -> dict[str, Any]:
    """The keys of the log's own summary; the graph knows the median too."""
    score = {"mean": row.mean, "median": row.median, "pooled": row.pooled, "n": row.moving, "ci95": [None, None]}
    return {name: getattr(row, name) for name in groups} | {
        "n": row.n,
        "fidelity": score,
        "mean_total_energy_fidelity": row.total_energy_fidelity,
        "mean_field_fidelity": row.field_fidelity,
        "rmse": row.rmse,
        "persistence_rmse": row.persistence_rmse,
    }


def _entry(node: dict[str, Any]) -> dict[str, Any]:
    renamed = {"domain_name": "domain", "checkpoint_sha256": "checkpoint", "predicted_uid": "predicted"}
    return {renamed.get(name, name): value for name, value in node.items() if name != "recorded_at"}


def _text(result: dict[str, Any]) -> str:
    if not result["n"]:
        return f"no energy vectors in {result['source']}; predictions whose truth is known leave some"
    if "groups" in result:
        names = [name for name in ("domain", "regime") if name in result["groups"][0]]
        head = (
            "".join(f"{name:26}" for name in names)
            + f"{'n':>7}  {'fidelity':>8}  {'total':>8}  {'field':>8}  rmse (persistence)"
        )
        lines = [
            "".join(f"{group[name]:26}" for name in names)
            + f"{group['n']:>7}  {_number(group['fidelity']['pooled'])}  "
            + f"{_number(group['mean_total_energy_fidelity'])}  {_number(group['mean_field_fidelity'])}  "
            + f"{_rmse(group['rmse'])} ({_rmse(group['persistence_rmse'])})"
            for group in result["groups"]
        ]
        return "\n".join([head, *lines])
    head = f"{'time':20}  {'domain':26}{'regime':12}{'lead':>4}  {'fidelity':>8}  {'total':>8}  {'field':>8}  model"
    lines = [
        f"{str(entry['timestamp'])[:19]:20}  {entry['domain']:26}{entry['regime']:12}{entry['lead'] or '–':>4}  "
        f"{_number(entry['fidelity'])}  {_number(entry['total_energy_fidelity'])}  "
        f"{_number(entry['field_fidelity'])}  {entry['model'] or '–'}"
        for entry in result["entries"]
    ]
    return "\n".join([head, *lines, f"{result['n']} in {result['source']}"])


def _number(value: float | None) -> str:
    return f"{'–' if value is None else f'{value:.4f}':>8}"


def _rmse(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
