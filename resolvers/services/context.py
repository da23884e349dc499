"""What every service needs: the settings, the graph and the array store, made once per process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from graph.gateway import Gateway
from graph.settings import Settings
from nvp.atlas.store import ArrayStore


@dataclass(frozen=True, slots=True)
class Services:
    """Passed as first argument to each service function."""

    settings: Settings
    gateway: Gateway
    store: ArrayStore


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connect to the graph and open the store; closes both on the way out."""
    async with Gateway.open(settings) as gateway:
        yield Services(settings=settings, gateway=gateway, store=ArrayStore(settings.store))
