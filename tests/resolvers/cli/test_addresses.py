"""What `serve` and `demo --serve` print must let its reader in."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from graph.embedded import server
from graph.settings import Settings
from resolvers.cli import demo
from resolvers.cli.addresses import addresses, greeting
from resolvers.web.tokens import Tokens
from resolvers.web.viewer import Role

BASE = "http://127.0.0.1:8000"


def role_of(login: str, tokens: Tokens) -> Role:
    """What the session is worth that the login opens."""
    (ticket,) = parse_qs(urlsplit(login).query)["ticket"]
    cookie = tokens.redeem(ticket)
    return Role.NOBODY if cookie is None else tokens.session_role(cookie)


def test_the_login_opens_one_session(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, NEO4J_URI="neo4j://elsewhere")
    found = addresses(settings, BASE)
    assert (found["neo4j"], found["neo4j_browser"], found["neo4j_password"]) == ("neo4j://elsewhere", None, None)
    assert found["login"] is not None
    assert found["login"] in greeting(found)
    assert f"{BASE}/hypotheses" in greeting(found).split()
    tokens = Tokens(tmp_path)
    assert role_of(found["login"], tokens) is Role.OPERATOR
    assert role_of(found["login"], tokens) is Role.NOBODY


def test_the_demo_lets_its_reader_in(tmp_path: Path) -> None:
    said = demo._where(Settings(home=tmp_path, NEO4J_URI="neo4j://elsewhere"), BASE)
    (login,) = (word for word in said.split() if word.startswith(f"{BASE}/session"))
    assert role_of(login, Tokens(tmp_path)) is Role.OPERATOR


@pytest.mark.db
def test_the_browser_knows_its_server_and_nobody_is_told_the_password(settings: Settings) -> None:
    running = server.find(settings)
    if running is None:
        pytest.skip("the session uses a server that is not embedded")
    found = addresses(settings, BASE)
    assert found["neo4j_browser"] is not None
    assert found["neo4j_browser"].endswith(f"?dbms=neo4j://neo4j@127.0.0.1:{running.bolt_port}")
    assert found["neo4j_password"] == str(settings.home / "neo4j" / "password")
    assert server.password(settings).get_secret_value() not in greeting(found)
