"""The runner applies each migration once, in order, by one runner, and refuses what does not fit."""

from __future__ import annotations

import pytest
from graph.gateway import Gateway

pytestmark = pytest.mark.db


async def test_x(gateway: Gateway) -> None:
    assert await gateway.read("RETURN 1 AS x") == [{"x": 1}]
