"""Where a running service is to be found, as `serve` and `demo --serve` tell it."""

from __future__ import annotations

from graph.embedded import server
from graph.embedded.conf import Layout
from graph.settings import Settings
from resolvers.web.tokens import Tokens


def addresses(settings: Settings, base: str) -> dict[str, str | None]:
    """Addresses by name, for the service at `base`; with a login that works once."""
    tokens = Tokens(settings.home)
    running = None if settings.neo4j_uri else server.find(settings)
    return {
        "login": f"{base}/session?ticket={tokens.ticket(tokens.local())}",
        "hypotheses": f"{base}/hypotheses",
        "graphql": f"{base}/graphql",
        "neo4j": running.uri if running else settings.neo4j_uri,
        "neo4j_browser": running.browser if running else None,
        "neo4j_password": secret(settings) if running else None,
    }


def secret(settings: Settings) -> str:
    """Where the password of the embedded server is, never what it is."""
    return "NEO4J_PASSWORD" if settings.neo4j_password else str(Layout.of(settings).password)


def greeting(found: dict[str, str | None]) -> str:
    """The addresses for people, a line each."""
    names = {
        "login": "GraphiQL, login",
        "hypotheses": "Hypotheses",
        "graphql": "GraphQL",
        "neo4j": "Neo4j",
        "neo4j_browser": "Neo4j Browser",
        "neo4j_password": "its password in",
    }
    lines = [f"{names[name]:17}{value}" for name, value in found.items() if value]
    return "\n".join([*lines, "The login works once, within a quarter of an hour. Ctrl-C ends what it has started."])
