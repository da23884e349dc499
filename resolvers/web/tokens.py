"""Tokens, sessions and login tickets: few secrets, in files that only the owner can read (0600).

    tokens.json       role of each token, under its sha256: whoever reads the file cannot use it
    operator.token    the token of this machine's own command line, made when first asked for
    session.key       signs cookies; a cookie names a token and is worth what that token is worth
    tickets/          one-time login tickets by sha256; whoever removes the file first is in

Tokens are 256 random bits, so that a plain hash hides them. All API processes of a machine share the files.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

import orjson
from filelock import FileLock

from resolvers.web.viewer import Role

SESSION_SECONDS = 12 * 3600
TICKET_SECONDS = 15 * 60


class Tokens:
    """The secrets below one directory."""

    def __init__(self, home: Path) -> None:
        self._folder = home / "auth"
        self._path = self._folder / "tokens.json"
        self._known: Mapping[str, Role] = {}
        self._stamp: tuple[int, int] | None = None

    def issue(self, role: Role) -> str:
        """A new token; this is the only time that it is seen."""
        token = secrets.token_urlsafe(32)
        self._edit(_digest(token), role)
        return token

    def revoke(self, token: str) -> None:
        """From now on the token and all its sessions are worth nothing."""
        self._edit(_digest(token), None)

    def role(self, token: str) -> Role:
        """What the token allows; NOBODY where it is unknown."""
        return self._read().get(_digest(token), Role.NOBODY)

    def local(self) -> str:
        """The operator token of this machine's own programs."""
        path = self._folder / "operator.token"
        with self._lock():
            token = path.read_text() if path.is_file() else None
        if token is None or self.role(token) is Role.NOBODY:
            token = self.issue(Role.OPERATOR)
            with self._lock():
                _write(path, token.encode())
        return token

    def ticket(self, token: str) -> str:
        """A login ticket that opens one session for the token, within a quarter of an hour."""
        ticket = secrets.token_urlsafe(32)
        folder = self._folder / "tickets"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for old in folder.iterdir():
            if time.time() - old.stat().st_mtime > TICKET_SECONDS:
                old.unlink(missing_ok=True)
        _write(folder / _digest(ticket), _digest(token).encode())
        return ticket

    def redeem(self, ticket: str) -> str | None:
        """A session's cookie for a ticket; None where it is unknown, too old or used."""
        path = self._folder / "tickets" / _digest(ticket)
        try:
            fresh = time.time() - path.stat().st_mtime <= TICKET_SECONDS
            owner = path.read_text()
            path.unlink()  # of two at once, one fails here
        except FileNotFoundError:
            return None
        return self._cookie(owner) if fresh else None

    def session(self, token: str) -> str | None:
        """A session's cookie for a token; None where it is unknown."""
        return None if self.role(token) is Role.NOBODY else self._cookie(_digest(token))

    def session_role(self, cookie: str) -> Role:
        """What the session allows; NOBODY where it is forged, over or its token revoked."""
        owner, _, rest = cookie.partition(".")
        until, _, mark = rest.partition(".")
        if not (until.isdecimal() and mark.isascii()) or int(until) < time.time():
            return Role.NOBODY
        if not hmac.compare_digest(mark, self._mark(owner, until)):
            return Role.NOBODY
        return self._read().get(owner, Role.NOBODY)

    def _cookie(self, owner: str) -> str:
        until = str(int(time.time()) + SESSION_SECONDS)
        return f"{owner}.{until}.{self._mark(owner, until)}"

    def _mark(self, owner: str, until: str) -> str:
        path = self._folder / "session.key"
        if not path.is_file():
            with self._lock():
                if not path.is_file():
                    _write(path, secrets.token_bytes(32))
        return hmac.digest(path.read_bytes(), f"{owner}.{until}".encode(), "sha256").hex()

    def _read(self) -> Mapping[str, Role]:
        """The roles by hash, read again when the file has changed."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return {}
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            entries = orjson.loads(self._path.read_bytes())
            self._known = {digest: Role[role.upper()] for digest, role in entries.items()}
            self._stamp = stamp
        return self._known

    def _edit(self, digest: str, role: Role | None) -> None:
        with self._lock():
            roles = {**self._read()}
            if role is None:
                roles.pop(digest, None)
            else:
                roles[digest] = role
            entries = {digest: role.name.lower() for digest, role in roles.items()}
            _write(self._path, orjson.dumps(entries, option=orjson.OPT_INDENT_2))

    def _lock(self) -> FileLock:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return FileLock(self._folder / ".lock")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    temporary.replace(path)
