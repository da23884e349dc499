"""The container files say what they should; building and running them needs an engine, which CI does not have."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
LONG_RUNNING = ["neo4j", "api", "worker-batch", "worker-interactive", "worker-orchestration", "worker-gpu"]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    return loaded


def test_services_and_volumes(compose: dict[str, Any]) -> None:
    assert sorted(compose["services"]) == sorted([*LONG_RUNNING, "migrate"])
    declared = set(compose["volumes"])
    for name, service in compose["services"].items():
        mounted = {volume.split(":")[0] for volume in service["volumes"]}
        assert mounted, name
        assert mounted <= declared, name
    # all that compute share one array store
    assert all("store:/var/lib/fieldgraph/store" in compose["services"][name]["volumes"] for name in LONG_RUNNING[1:])


@pytest.mark.parametrize("name", LONG_RUNNING)
def test_long_running_service_is_checked_and_restarted(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["healthcheck"]["retries"] > 0
    assert service["restart"] == "unless-stopped"


def test_nothing_writes_before_the_migrations(compose: dict[str, Any]) -> None:
    assert compose["services"]["migrate"]["command"] == ["fieldgraph", "migrate"]
    for name in LONG_RUNNING[1:]:
        assert compose["services"][name]["depends_on"] == {
            "neo4j": {"condition": "service_healthy"},
            "migrate": {"condition": "service_completed_successfully"},
        }


def test_images_are_pinned_and_name_no_registry(compose: dict[str, Any]) -> None:
    images = [service["image"] for service in compose["services"].values()]
    images += re.findall(r"^FROM (\S+)", (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    assert compose["services"]["neo4j"]["image"] == "neo4j:2026.09.0-community"
    for image in images:
        name, _, tag = image.partition(":")
        assert re.match(r"\d+\.\d+\.\d+", tag), image
        assert "/" not in name, image


def test_gpu_is_reserved_by_its_profile_only(compose: dict[str, Any]) -> None:
    with_devices = {name for name, service in compose["services"].items() if "deploy" in service}
    assert with_devices == {"worker-gpu"}
    worker = compose["services"]["worker-gpu"]
    assert worker["profiles"] == ["gpu"]
    assert worker["build"]["args"]["LOCK"] == "requirements-gpu.lock"
    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]


def test_secrets_come_from_the_environment(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for key, value in service["environment"].items():
            if re.search(r"PASSWORD|AUTH|TOKEN|SECRET", key):
                assert "${NEO4J_PASSWORD:?" in value, (name, key)
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert not re.search(r"PASSWORD|TOKEN|SECRET|://", dockerfile)


def test_ports_are_published_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_image_is_small_and_runs_without_root() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    assert dockerfile.count("\nFROM ") + dockerfile.startswith("FROM ") == 2
    assert "--require-hashes" in dockerfile
    assert dockerfile.index("\nUSER fieldgraph") > dockerfile.rindex("\nFROM ")


def test_image_takes_no_secret_and_no_history_along() -> None:
    first, *allowed = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert first == "*"
    assert not {"!.env", "!.git"} & set(allowed)
    # what pip needs to build the distribution is there
    assert {f"!{package}" for package in ("graph", "migrations", "nvp", "resolvers", "schema")} <= set(allowed)
