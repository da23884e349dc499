"""Services over the session's Neo4j, with leases short enough to be lost in a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from graph.gateway import Gateway
from graph.settings import Settings
from nvp.atlas.store import ArrayStore
from resolvers.services.context import Services


@pytest.fixture
def services(gateway: Gateway, settings: Settings) -> Services:
    """An empty graph, the session's store, leases of two seconds."""
    impatient = settings.model_copy(update={"lease_seconds": 2.0, "poll_seconds": 0.1})
    return Services(settings=impatient, gateway=gateway, store=ArrayStore(impatient.store))


@pytest.fixture
def short_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home whose path is short enough for a Unix socket."""
    return tmp_path_factory.mktemp("h")
