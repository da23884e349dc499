"""`fieldgraph certificate`: what a finished run took in, left and spent, signed, and its check anywhere."""

from __future__ import annotations

import re
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from graph.errors import GraphError
from graph.settings import Settings
from resolvers.certificates.issuing import Finding, audit, issue
from resolvers.certificates.signing import Signed, follows, key_of, known_key, public_key, verify
from resolvers.certificates.statement import Invalid, Refused
from resolvers.cli.follow import opened
from resolvers.cli.output import JsonOption, console, emit, fail, run

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Certify finished runs and check certificates. Example: fieldgraph certificate verify certificate.json",
)

SHOWN = 20


@app.command("issue", short_help="Certify a run, or write its certificate once more.")
def issue_(
    uid: Annotated[str, typer.Argument(metavar="RUN", help="A run that succeeded.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Certify a run and write the certificate to a file; a run has one, and twice gives the same.

    Refused, with exit code 1, where the run did not succeed, its energy was not accounted for, it went beyond its
    budget, its predictions break a law or were not held to it, or its members had no quorum.

    Example: fieldgraph certificate issue 019aa5f2-7c1e-7b52-9d0e-1f7a4c2b8e11 --out certificate.json
    """
    if out.exists() and not force:
        fail(
            GraphError("FILE_EXISTS", f"expected no file at {out}, got one.", next_step="Name another, or use --force.")
        )
    if not out.parent.is_dir():
        fail(GraphError("NO_FOLDER", f"expected a folder {out.parent}, got none.", next_step="Make it first."))
    signed, new = run(_issue(uid))
    out.write_bytes(signed.document())
    said = {"file": str(out), "new": new, **_summary(signed)}
    emit(said, as_json=as_json, text=f"{_text(signed)}\nNext: fieldgraph certificate verify {out}")


@app.command("verify", short_help="Check certificates with nothing but their files.")
def verify_(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Certificates; neighbours must be linked.")],
    key: Annotated[
        str | None, typer.Option(help="The public key that must have signed them: 64 hexadecimal digits.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check certificates with nothing but their files: no graph, no network. Exit code 1 where one was changed.

    Whose key it is no file can say: ask the issuer for `fieldgraph certificate key` and give it here.

    Example: fieldgraph certificate verify certificate.json --json
    """
    if key is not None and not re.fullmatch(r"[0-9a-f]{64}", key):
        fail(GraphError("BAD_KEY", f"expected a public key of 64 hexadecimal digits, got {key!r}."))
    found: list[dict[str, Any]] = []
    texts: list[str] = []
    read: list[Signed] = []
    ours = _known()
    for file in files:
        try:
            signed = verify(_content(file), key=key)
        except (Invalid, Refused) as error:
            found.append({"file": str(file), "valid": False, "code": error.code, "message": str(error)})
            texts.append(f"{file}: {error}")
            continue
        read.append(signed)
        known = key is not None or signed.statement.public_key == ours
        found.append({"file": str(file), "valid": True, "key_known": known, **_summary(signed)})
        whose = "a key that you know" if known else "a key that this home does not know: compare it with its owner's"
        texts.append(f"{file}: valid, signed by {whose}\n{_text(signed)}")
    broken = _links(read)
    valid = not broken and all(each["valid"] for each in found)
    emit({"valid": valid, "certificates": found, "chain": broken}, as_json=as_json, text="\n".join([*texts, *broken]))
    raise typer.Exit(0 if valid else 1)


@app.command("audit", short_help="Compare all certificates with the graph.")
def audit_(as_json: JsonOption = False) -> None:
    """Check every certificate of the graph, its place in the chain, and that its run and files are as certified.

    Exit code 1 where one is not. What was cut off the end of the chain only an earlier file can show.

    Example: fieldgraph certificate audit --json
    """
    number, digest, findings = run(_audit())
    lines = [f"{each.number}  {each.code}  {each.message}" for each in findings[:SHOWN]]
    if len(findings) > SHOWN:
        lines.append(f"… and {len(findings) - SHOWN} more; --json lists all")
    text = "\n".join([*lines, f"{number} certificates, {len(findings)} findings; the last is {digest or '–'}"])
    said = {"certificates": number, "last_digest": digest, "findings": [asdict(each) for each in findings]}
    emit(said, as_json=as_json, text=text)
    raise typer.Exit(1 if findings else 0)


@app.command()
def key(as_json: JsonOption = False) -> None:
    """Print the public key of this home, for whoever checks its certificates.

    Example: fieldgraph certificate key
    """
    try:
        found = public_key(key_of(Settings().home))
    except GraphError as error:
        fail(error)
    emit({"public_key": found}, as_json=as_json, text=found)


async def _issue(uid: str) -> tuple[Signed, bool]:
    async with opened() as services:
        return await issue(services.gateway, uid, key_of(services.settings.home))


async def _audit() -> tuple[int, str | None, list[Finding]]:
    number, digest, findings = 0, None, list[Finding]()
    columns = TextColumn("{task.description}"), TextColumn("{task.completed} certificates"), TimeElapsedColumn()
    async with opened() as services:
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
            line = bar.add_task("audit", total=None)
            async for row, found in audit(services.gateway):
                number, digest = number + 1, row.digest
                findings += found
                bar.advance(line)
    return number, digest, findings


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(GraphError("NO_FILE", f"expected a certificate at {file}, got: {(error.strerror or 'no file').lower()}."))


def _known() -> str | None:
    try:
        return known_key(Settings().home)
    except GraphError:
        return None  # what is wrong with our own key is no matter of theirs


def _links(read: list[Signed]) -> list[str]:
    """What is wrong between certificates whose numbers are neighbours."""
    ordered = sorted(read, key=lambda signed: signed.statement.number)
    broken = []
    for earlier, later in pairwise(ordered):
        if later.statement.number - earlier.statement.number > 1:
            continue
        try:
            if later != earlier:
                follows(later, earlier)
        except Invalid as error:
            broken.append(str(error))
    return broken


def _summary(signed: Signed) -> dict[str, Any]:
    said = signed.statement
    return {
        "number": said.number,
        "run": said.run.uid,
        "kind": said.run.kind,
        "digest": signed.digest,
        "previous_digest": said.previous_digest,
        "public_key": said.public_key,
        "issued_at": said.issued_at,
        "energy_joules": said.accounting.energy_joules,
        "energy_source": said.accounting.energy_source,
        "seconds": said.accounting.seconds,
        "inputs": len(said.inputs),
        "outputs": len(said.outputs),
        "metrics": [{"of": each.of, "name": each.name, "value": each.value} for each in said.metrics],
    }


def _text(signed: Signed) -> str:
    said, spent = signed.statement, signed.statement.accounting
    lines = {
        "run": f"{said.run.uid}  {said.run.kind}, {said.run.code_version or 'code unknown'}",
        "number": f"{said.number}  of {said.issued_at}",
        "digest": signed.digest,
        "follows": said.previous_digest,
        "key": said.public_key,
        "spent": f"{spent.energy_joules:.4g} J ({spent.energy_source}) in {spent.seconds:.1f} s",
        "cites": f"{len(said.inputs)} inputs, {len(said.outputs)} outputs",
    }
    lines |= {f"{each.name} of {each.of}": f"{each.value:.4g}" for each in said.metrics}
    return "\n".join(f"  {name:8} {value}" for name, value in lines.items())
