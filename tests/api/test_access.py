"""Who may do what: the matrix of roles, the two ways to show one, and where a cookie is not enough."""

from __future__ import annotations

import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from resolvers.web.access import COOKIE
from resolvers.web.tokens import TICKET_SECONDS, Tokens
from resolvers.web.viewer import Role
from tests.api.conftest import BASE, ask

pytestmark = pytest.mark.db

QUERY = "{ domains { nodes { name } } }"
INTROSPECTION = "{ __schema { queryType { name } } }"
MUTATION = 'mutation { cancelRun(uid: "none") { __typename } }'
ALLOWED = {
    Role.NOBODY: set[str](),
    Role.READER: {"read"},
    Role.OPERATOR: {"read", "write"},
    Role.ADMIN: {"read", "write"},
}


def bearer(token: str) -> dict[str, str]:
    """The header that shows a token."""
    return {"Authorization": f"Bearer {token}"}


def code(answer: dict[str, Any]) -> str | None:
    """The stable code of the first error."""
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


@pytest.mark.parametrize("role", list(Role))
async def test_each_role_may_do_its_part(
    anonymous: httpx.AsyncClient, token: Callable[[Role], str], role: Role
) -> None:
    anonymous.headers.update(bearer(token(role) if role else "wrong"))
    refused = "UNAUTHENTICATED" if role is Role.NOBODY else "FORBIDDEN"
    for document in (QUERY, INTROSPECTION, '{ node(id: "RG9tYWluOm5vbmU=") { id } }'):
        assert code(await ask(anonymous, document)) == (None if "read" in ALLOWED[role] else refused)
    assert code(await ask(anonymous, MUTATION)) == (None if "write" in ALLOWED[role] else refused)
    for path in ("/arrays/" + "0" * 64, "/snapshots/none.png", "/metrics"):
        allowed = (await anonymous.get(path)).status_code in (200, 404)
        assert allowed is ("read" in ALLOWED[role]), path
    put = await anonymous.put("/arrays/" + "0" * 64, content=b"")
    assert put.status_code == (422 if "write" in ALLOWED[role] else 401 if role is Role.NOBODY else 403)


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_open(anonymous: httpx.AsyncClient, path: str) -> None:
    assert (await anonymous.get(path)).status_code == 200


async def test_a_token_is_traded_for_a_cookie(anonymous: httpx.AsyncClient, tokens: Tokens) -> None:
    response = await anonymous.post("/session", headers=bearer(tokens.local()))
    assert response.status_code == 204
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert tokens.local() not in cookie
    assert code(await ask(anonymous, QUERY)) is None
    assert (await anonymous.delete("/session")).status_code == 204
    assert code(await ask(anonymous, QUERY)) == "UNAUTHENTICATED"


@pytest.mark.parametrize("origin", [None, "http://evil.test", BASE + ".evil.test", "null"])
async def test_a_change_by_cookie_must_come_from_our_page(
    anonymous: httpx.AsyncClient, tokens: Tokens, origin: str | None
) -> None:
    await anonymous.post("/session", headers=bearer(tokens.local()))
    headers = {"Origin": origin} if origin else {}
    refused = (await anonymous.post("/graphql", json={"query": MUTATION}, headers=headers)).json()
    assert code(refused) == "FOREIGN_ORIGIN"
    put = await anonymous.put("/arrays/" + "0" * 64, content=b"", headers=headers)
    assert put.status_code == 403
    ours = (await anonymous.post("/graphql", json={"query": MUTATION}, headers={"Origin": BASE})).json()
    assert ours["data"]["cancelRun"]["__typename"] == "NotFound"


async def test_a_mutation_cannot_hide_in_a_get(operator: httpx.AsyncClient) -> None:
    response = await operator.get("/graphql", params={"query": MUTATION})
    assert response.status_code == 400


async def test_a_ticket_logs_in_once(anonymous: httpx.AsyncClient, tokens: Tokens) -> None:
    ticket = tokens.ticket(tokens.local())
    first = await anonymous.get("/session", params={"ticket": ticket})
    assert first.status_code == 303
    assert first.headers["location"] == "/"
    assert code(await ask(anonymous, QUERY)) is None
    anonymous.cookies.clear()
    assert (await anonymous.get("/session", params={"ticket": ticket})).status_code == 401
    assert (await anonymous.get("/session")).status_code == 401


def test_a_ticket_is_good_for_a_while_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    ticket = tokens.ticket(tokens.local())
    now = time.time() + TICKET_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: now)
    assert tokens.redeem(ticket) is None


def test_a_cookie_cannot_be_forged_and_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(tmp_path)
    reader = tokens.issue(Role.READER)
    admin = tokens.issue(Role.ADMIN)
    cookie = tokens.session(reader)
    assert cookie is not None
    assert tokens.session_role(cookie) is Role.READER
    owner, until, mark = cookie.split(".")
    for forged in (
        f"{(tokens.session(admin) or '').partition('.')[0]}.{until}.{mark}",
        f"{owner}.{int(until) + 1}.{mark}",
        f"{owner}.{until}.{'0' * 64}",
        f"{owner}.{until}",
        f"{owner}.{until}.é",
        "",
        "..",
    ):
        assert tokens.session_role(forged) is Role.NOBODY, forged
    monkeypatch.setattr(time, "time", lambda: float(until) + 1)
    assert tokens.session_role(cookie) is Role.NOBODY


def test_a_revoked_token_takes_its_sessions_along(tmp_path: Path) -> None:
    tokens, other_process = Tokens(tmp_path), Tokens(tmp_path)
    token = tokens.issue(Role.OPERATOR)
    cookie = tokens.session(token) or ""
    assert other_process.role(token) is Role.OPERATOR
    assert other_process.session_role(cookie) is Role.OPERATOR
    tokens.revoke(token)
    assert other_process.role(token) is Role.NOBODY
    assert other_process.session_role(cookie) is Role.NOBODY
    assert tokens.session(token) is None


def test_files_hold_no_usable_token_but_the_owners(tmp_path: Path) -> None:
    tokens = Tokens(tmp_path)
    secret, local = tokens.issue(Role.ADMIN), tokens.local()
    ticket = tokens.ticket(local)
    assert tokens.local() == local
    files = [path for path in (tmp_path / "auth").rglob("*") if path.is_file() and path.name != ".lock"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    texts = {path.name: path.read_bytes() for path in files}
    assert texts.pop("operator.token").decode() == local
    assert not any(word.encode() in text for text in texts.values() for word in (secret, local, ticket))
    assert set(json.loads(texts["tokens.json"]).values()) == {"admin", "operator"}


async def test_an_unknown_cookie_is_nobody(anonymous: httpx.AsyncClient) -> None:
    anonymous.cookies.set(COOKIE, "nonsense")
    assert code(await ask(anonymous, QUERY)) == "UNAUTHENTICATED"
