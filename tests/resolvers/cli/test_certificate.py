"""`fieldgraph certificate` and `fieldgraph runs export` as a user meets them."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from prov.model import ProvDocument

from graph.gateway import Gateway
from graph.queries import runs
from graph.settings import Settings
from resolvers.cli import commands
from tests.graph.queries import builders
from tests.resolvers.certificates.statements import signed

Said = tuple[int, str, str]


def ask(capsys: pytest.CaptureFixture[str], *arguments: str) -> Said:
    """(exit code, stdout, stderr) of `fieldgraph ARGUMENTS`."""
    with pytest.raises(SystemExit) as left:
        commands(list(arguments))
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A certificate of somebody else's; no graph, and a home of one's own."""
    monkeypatch.setenv("FIELDGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NEO4J_URI", "neo4j://127.0.0.1:9")
    path = tmp_path / "certificate.json"
    path.write_bytes(signed().document())
    return path


def test_a_certificate_is_verified_without_a_graph(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ask(capsys, "certificate", "verify", str(file))
    assert code == 0
    assert "valid, signed by a key that this home does not know" in out
    key = signed().statement.public_key
    code, out, _ = ask(capsys, "certificate", "verify", str(file), "--key", key, "--json")
    said = json.loads(out)
    assert (code, said["valid"], said["certificates"][0]["key_known"]) == (0, True, True)
    assert said["certificates"][0]["energy_joules"] == 410.5
    # to check another's makes no key of ours
    assert not (file.parent / "home").exists()


def test_a_changed_certificate_fails(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text().replace("410.5", "41.05"))
    code, out, _ = ask(capsys, "certificate", "verify", str(file), "--json")
    said = json.loads(out)
    assert (code, said["valid"], said["certificates"][0]["code"]) == (1, False, "DIGEST_MISMATCH")
    code, out, _ = ask(capsys, "certificate", "verify", str(file))
    assert code == 1
    assert len(out.splitlines()) == 1


def test_another_key_and_what_is_no_key(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ask(capsys, "certificate", "verify", str(file), "--key", "0" * 64, "--json")
    assert (code, json.loads(out)["certificates"][0]["code"]) == (1, "OTHER_KEY")
    code, _, err = ask(capsys, "certificate", "verify", str(file), "--key", "mine")
    assert (code, len(err.splitlines())) == (2, 1)
    code, _, err = ask(capsys, "certificate", "verify", str(file.with_name("none.json")))
    assert (code, len(err.splitlines())) == (2, 1)


def test_neighbours_must_be_linked(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = signed()
    for name, previous, expected in (("linked", first.digest, 0), ("forged", "1" * 64, 1)):
        second = file.with_name(f"{name}.json")
        second.write_bytes(signed(number=2, previous_digest=previous).document())
        # in any order, and the same twice
        code, out, _ = ask(capsys, "certificate", "verify", str(second), str(file), str(file), "--json")
        assert (code, len(json.loads(out)["chain"])) == (expected, expected)


def test_the_key_is_printed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = [ask(capsys, "certificate", "key") for _ in range(2)]
    assert said[0] == said[1]
    assert len(said[0][1].strip()) == 64
    (key,) = (file.parent / "home").rglob("*.pem")
    key.chmod(0o644)
    code, _, err = ask(capsys, "certificate", "key")
    assert (code, len(err.splitlines())) == (2, 1)


@pytest.fixture
def home(settings: Settings, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of the session's server."""
    for name, value in environment.items():
        if os.environ.get(name) != value:
            monkeypatch.setenv(name, value)
    return settings.home


async def in_thread(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """`ask`, beside the loop that the test's own gateway lives in."""
    return await asyncio.to_thread(ask, capsys, *arguments)


@pytest.mark.db
async def test_from_a_run_to_its_file_and_back(
    gateway: Gateway, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    row = await builders.started(gateway)
    path = tmp_path / "certificate.json"
    issue = "certificate", "issue", row.uid, "--out", str(path)
    code, _, err = await in_thread(capsys, *issue)
    assert (code, path.exists()) == (1, False)
    assert "state RUNNING" in err
    assert len(err.splitlines()) == 1
    await runs.transition(
        gateway, row.uid, "RUNNING", "SUCCEEDED", row.lease.token, energy_joules=2.0, energy_source="estimated"
    )
    code, out, _ = await in_thread(capsys, *issue, "--json")
    said = json.loads(out)
    assert (code, said["new"], said["number"]) == (0, True, 1)
    before = path.read_bytes()
    # a file that is there stays, unless it may go; the certificate is the same
    assert (await in_thread(capsys, *issue))[0] == 2
    code, out, _ = await in_thread(capsys, *issue, "--force", "--json")
    assert (code, json.loads(out)["new"], path.read_bytes()) == (0, False, before)
    code, out, _ = await in_thread(capsys, "certificate", "verify", str(path))
    assert code == 0
    assert "a key that you know" in out
    code, out, _ = await in_thread(capsys, "certificate", "audit", "--json")
    assert (code, json.loads(out)) == (0, {"certificates": 1, "last_digest": said["digest"], "findings": []})
    await gateway.write("MATCH (c:Certificate) SET c.energy_joules = 1.0")
    code, out, _ = await in_thread(capsys, "certificate", "audit", "--json")
    assert (code, [each["code"] for each in json.loads(out)["findings"]]) == (1, ["NODE_CHANGED"])


@pytest.mark.db
async def test_runs_are_exported(
    gateway: Gateway, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lease, _, _ = await builders.trained(gateway)
    await builders.submit(gateway)
    one, everything = tmp_path / "one.json", tmp_path / "all.json"
    code, out, _ = await in_thread(capsys, "runs", "export", lease.run, "--prov", str(one), "--json")
    assert (code, json.loads(out)["runs"]) == (0, 1)
    code, out, _ = await in_thread(capsys, "runs", "export", "--all", "--prov", str(everything), "--json")
    assert (code, json.loads(out)["runs"]) == (0, 2)
    read = ProvDocument.deserialize(source=str(everything), format="json")
    assert len(list(read.bundles)) == 2
    left = await asyncio.to_thread(os.listdir, tmp_path)
    assert sorted(left) == ["all.json", "one.json"]
    for wrong in (
        ["--prov", str(one) + "2"],
        [lease.run],
        [lease.run, "--all", "--prov", "x"],
        [lease.run, "--prov", str(one)],
    ):
        code, _, err = await in_thread(capsys, "runs", "export", *wrong)
        assert (code, len(err.splitlines())) == (2, 1)
