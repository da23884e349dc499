"""Plans: every query starts from an index. One that scans a label, or all nodes, is slow once the graph is large."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import LiteralString, cast

import pytest

from graph.gateway import Gateway
from tests.graph.queries.plans import explain, fill

pytestmark = pytest.mark.db

MODULES = [
    import_module(f"graph.queries.{name}")
    for name in (
        "ace",
        "atlas",
        "certificates",
        "costs",
        "coupling",
        "evaluation",
        "expansions",
        "frames",
        "garbage",
        "gates",
        "hypotheses",
        "leaks",
        "leases",
        "module_events",
        "offline",
        "prediction",
        "provenance",
        "relaxation",
        "residuals",
        "run_family",
        "run_moves",
        "run_queue",
        "runs",
        "sequences",
        "splits",
        "sweeps",
        "timeline",
        "training",
        "vector_logs",
        "violations",
    )
]
STARTS = ("MATCH", "MERGE", "CREATE", "UNWIND")


def queries(module: ModuleType) -> dict[str, LiteralString]:
    """The module's Cypher constants that are whole queries."""
    return {
        f"{module.__name__.rpartition('.')[2]}.{name}": cast("LiteralString", value)
        for name, value in vars(module).items()
        if name.isupper() and isinstance(value, str) and value.split()[0] in STARTS and "_ROW" not in name
    }


QUERIES = {name: query for module in MODULES for name, query in queries(module).items()}


async def test_each_query_starts_from_an_index(gateway: Gateway) -> None:
    assert len(QUERIES) > 30
    await fill(gateway)
    scans = {}
    for name, query in QUERIES.items():
        found = {operator for operator in await explain(gateway, query) if operator.endswith("Scan")}
        if found:
            scans[name] = found
    assert scans == {}
