"""Signatures: the key of this home, the file that travels, and its check with nothing but the file.

    digest = SHA-256(canonical JSON of the statement)        signature = Ed25519(key, the same bytes)

The statement holds the public key and the digest of the certificate before it, hence no field can be changed, nor the
order of certificates, without a new signature. That the key is the issuer's, the file cannot say: it has to be known by
another way (`fieldgraph certificate key`).
Reference: RFC 8032, Edwards-Curve Digital Signature Algorithm (2017); RFC 8785 for the bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from graph.errors import GraphError
from resolvers.certificates.canonical import canonical, parsed
from resolvers.certificates.statement import Invalid, Statement, read, refusal, written

PLACE = Path("certificates") / "signing-key.pem"
FIELDS = {"statement", "digest", "signature"}


@dataclass(frozen=True, slots=True)
class Signed:
    """A statement that is what its signer signed."""

    statement: Statement
    digest: str
    signature: str
    # the canonical bytes
    text: str

    def document(self) -> bytes:
        """The file: the statement as people read it, its digest and its signature."""
        whole = {"statement": parsed(self.text), "digest": self.digest, "signature": self.signature}
        return json.dumps(whole, indent=2, ensure_ascii=False).encode() + b"\n"


def key_of(home: Path) -> Ed25519PrivateKey:
    """The signing key below `home`, made when first asked for; of two at once, both get the same.

    Raises GraphError (KEY_EXPOSED, KEY_UNREADABLE).
    """
    path = home / PLACE
    if not path.exists():
        _make(path)
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise GraphError(
            "KEY_EXPOSED",
            f"expected a signing key that only its owner can read, got {path} with mode {mode:o}.",
            next_step="If nobody else has read it: chmod 600. Else remove it; the next certificate makes a new one.",
        )
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise GraphError(
            "KEY_UNREADABLE",
            f"expected an Ed25519 key in {path}, got something else.",
            next_step="Bring it back from a backup, or remove it for a new one.",
        )
    return key


def known_key(home: Path) -> str | None:
    """The public key of this home; None where it has signed nothing yet."""
    return public_key(key_of(home)) if (home / PLACE).exists() else None


def public_key(key: Ed25519PrivateKey) -> str:
    """The public half: 64 hexadecimal digits."""
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()


def sign(statement: Statement, key: Ed25519PrivateKey) -> Signed:
    """The statement, signed; it must name the key's public half."""
    text = canonical(written(statement))
    return Signed(statement, hashlib.sha256(text).hexdigest(), key.sign(text).hex(), text.decode())


def verify(document: bytes | str, *, key: str | None = None) -> Signed:
    """The certificate in a file, if each field is as it was signed and what it says may be certified.

    `key` is the public key that it must be signed by. Raises Invalid (NOT_A_CERTIFICATE, DIGEST_MISMATCH,
    BAD_SIGNATURE, OTHER_KEY) and Refused.
    """
    try:
        whole = parsed(document)
        if not isinstance(whole, Mapping) or set(whole) != FIELDS:
            raise ValueError(f"expected an object of {', '.join(sorted(FIELDS))}")
        text = canonical(whole["statement"])
    except (ValueError, TypeError) as error:
        reason = str(error).split("\n", 1)[0].removesuffix(".")
        raise Invalid("NOT_A_CERTIFICATE", f"expected a certificate, got something else: {reason}.") from None
    return check(text, digest=whole["digest"], signature=whole["signature"], key=key)


def check(text: bytes, *, digest: Any, signature: Any, key: str | None = None) -> Signed:
    """The same for the canonical bytes of a statement, its digest and its signature."""
    actual = hashlib.sha256(text).hexdigest()
    if digest != actual:
        raise Invalid(
            "DIGEST_MISMATCH",
            f"expected sha256 {actual} of the statement, got {digest!r}: a field or the digest was changed.",
        )
    statement = read(text)
    try:
        # one way to write it: lower case, no blanks
        if not isinstance(signature, str) or bytes.fromhex(signature).hex() != signature:
            raise ValueError
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(statement.public_key)).verify(bytes.fromhex(signature), text)
    except (InvalidSignature, ValueError):
        raise Invalid(
            "BAD_SIGNATURE",
            f"expected a signature of this statement by the key {statement.public_key}, got another.",
        ) from None
    if key is not None and key != statement.public_key:
        raise Invalid("OTHER_KEY", f"expected the key {key}, got a certificate signed by {statement.public_key}.")
    refused = refusal(statement)
    if refused is not None:
        raise refused
    return Signed(statement, actual, signature, text.decode())


def follows(later: Signed, earlier: Signed) -> None:
    """Raise Invalid (BROKEN_CHAIN) unless `later` is the next certificate after `earlier`."""
    if later.statement.previous_digest != earlier.digest or later.statement.number != earlier.statement.number + 1:
        raise Invalid(
            "BROKEN_CHAIN",
            f"expected certificate {later.statement.number} to follow {earlier.digest}, "
            f"got {later.statement.previous_digest}.",
        )


def _make(path: Path) -> None:
    """Write a new key, whole or not at all; leave one that is there."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    temporary = path.with_name(f".{secrets.token_hex(8)}")
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    try:
        os.link(temporary, path)  # unlike a rename it never replaces
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
