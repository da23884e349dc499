"""Metadata come back as they were, or not at all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.atlas.canonical import digest
from nvp.atlas.maps.errors import BadData
from nvp.atlas.maps.metadata import EnergyMapMetadata, from_text, to_text

MAP = np.random.default_rng(0).random((8, 16), dtype=np.float32)


def of(**known: Any) -> EnergyMapMetadata:
    return EnergyMapMetadata.of(MAP, domain="fluid_dynamics", sequence="run-1", step=3, source="synthetic", **known)


finite = st.floats(allow_nan=False, allow_infinity=False)
drawn = st.dictionaries(st.text(), st.none() | st.booleans() | st.integers() | finite | st.text() | st.lists(finite))


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.fixed_dictionaries({"t": finite, "source_total": st.none() | finite, "seed": st.none() | st.integers()}),
    timestamp=st.none() | st.text(),
    perturbations=st.lists(drawn, max_size=3).map(tuple),
)
def test_metadata_round_trip_without_loss(numbers: dict[str, Any], timestamp: str | None, perturbations: Any) -> None:
    metadata = of(**numbers, timestamp=timestamp, perturbations=perturbations)
    assert from_text(to_text(metadata), file="x.json") == metadata


def test_statistics_are_those_of_the_values() -> None:
    metadata = of()
    assert (metadata.map_id, metadata.scale, metadata.shape) == ("run-1/0003", 8, (8, 16))
    assert metadata.sha256 == digest(MAP[..., None])
    values = MAP.astype(float)
    share = values / values.sum()
    assert metadata.total_energy == pytest.approx(values.sum(), rel=1e-12)
    assert metadata.energy_variance == pytest.approx(values.var(), rel=1e-12)
    assert metadata.entropy == pytest.approx(-(share * np.log(share)).sum(), rel=1e-12)
    assert metadata.t == pytest.approx(3 * 2.1)


def test_a_map_without_energy_has_no_entropy() -> None:
    empty = EnergyMapMetadata.of(np.zeros((8, 8)), domain="fluid_dynamics", sequence="s", step=0, source="real")
    assert empty.entropy is None
    signed = EnergyMapMetadata.of(
        np.full((8, 8), -1.0), domain="surface_temperature", sequence="s", step=0, source="real"
    )
    assert signed.entropy is None
    assert signed.units == "K"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("total_energy", float("nan")), ("total_energy", "1"), ("total_energy", True), ("step", -1), ("step", 1.0),
        ("shape", [8]), ("shape", [8, 0]), ("sha256", "abc"), ("source", "imagined"), ("seed", 0.5), ("dx", 0),
        ("entropy", float("inf")), ("perturbations", ["rotation"]), ("perturbations", None), ("units", None),
        ("map_id", "run-2/0003"), ("scale", 16),
    ],
)  # fmt: skip
def test_other_values_are_refused_by_name(field: str, value: Any) -> None:
    said = of().to_json() | {field: value}
    with pytest.raises(BadData, match=r"here\.json") as caught:
        from_text(json.dumps(said), file="here.json")
    assert caught.value.code == "BAD_METADATA"
    assert field in str(caught.value)


def test_missing_and_unknown_fields_are_refused() -> None:
    said = of().to_json()
    said["colour"] = said.pop("regime")
    with pytest.raises(BadData, match=r"missing \['regime'\], unknown \['colour'\]"):
        from_text(json.dumps(said), file="here.json")
    for text in ("", "[1]", "{", b"\xff"):
        with pytest.raises(BadData, match=r"here\.json"):
            from_text(text, file="here.json")


def test_perturbations_that_json_would_change_are_refused() -> None:
    for item in ({"shift": (1, 2)}, {"angle": np.float32(1)}, {"sigma": float("nan")}):
        with pytest.raises(BadData, match="perturbations"):
            of(perturbations=(item,))
