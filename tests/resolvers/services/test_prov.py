"""The PROV document is what the `prov` package understands, and says what the graph says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prov.model import ProvActivity, ProvBundle, ProvDocument, ProvEntity

from graph.gateway import Gateway
from graph.queries import prediction, runs
from graph.queries.prediction import NewPredicted
from graph.queries.provenance import provenance
from resolvers.services.prov import NAMESPACE, document
from tests.graph.queries import builders

pytestmark = pytest.mark.db


def read(found: dict[str, Any]) -> ProvDocument:
    """The document as the `prov` package reads it; it says the same when it is written again."""
    text = json.dumps(found)
    read = ProvDocument.deserialize(content=text, format="json")
    assert ProvDocument.deserialize(content=read.serialize(format="json"), format="json") == read
    return read


def related(bundle: ProvBundle, kind: str) -> set[tuple[str, str]]:
    """The two ends of each relation of a kind, by local name."""
    return {
        (record.args[0].localpart, record.args[1].localpart)
        for record in bundle.get_records()
        if record.get_type().localpart == kind
    }


@pytest.fixture
async def lineage(gateway: Gateway) -> dict[str, str]:
    """A training that succeeded, an evaluation that runs, and a prediction informed by another run."""
    lease, split, checkpoint = await builders.trained(gateway)
    await runs.transition(
        gateway, lease.run, "RUNNING", "SUCCEEDED", lease.token, energy_joules=3.5, energy_source="estimated"
    )
    (start,) = await gateway.read("MATCH (e:EnergySnapshot {t_index: 12}) RETURN e.uid AS uid, e.sha256 AS sha256")
    used = [(start["uid"], "start"), (checkpoint, "checkpoint")]
    predicting = (await builders.started(gateway, kind="prediction", inputs=used)).lease
    states = [
        NewPredicted(lead=lead, member=None, sha256=builders.sha("predicted", lead), uri=f"objects/{lead}.npy",
                 **builders.statistics(lead))
        for lead in (1, 2)
    ]  # fmt: skip
    made = await prediction.record_prediction(
        gateway, predicting, start=start["uid"], checkpoint=checkpoint, forcing="frozen", dt=0.5, states=states
    )
    await gateway.write(
        "MATCH (p:Run {uid: $run}) MATCH (t:Run {uid: $training}) MERGE (p)-[:WAS_INFORMED_BY]->(t) "
        "MERGE (p)-[:PART_OF]->(t)",
        run=predicting.run, training=lease.run,
    )  # fmt: skip
    return {
        "training": lease.run,
        "prediction": predicting.run,
        "call": made,
        "split": split,
        "checkpoint": checkpoint,
        "start": start["uid"],
        "sequence": builders.new_sequence().uid,
    }


async def test_a_training_is_an_activity_with_its_plan_and_code(gateway: Gateway, lineage: dict[str, str]) -> None:
    found = read(document([await provenance(gateway, lineage["training"])]))
    (bundle,) = found.bundles
    assert bundle.identifier.uri == f"{NAMESPACE}record/{lineage['training']}"
    run = f"run/{lineage['training']}"
    (activity,) = bundle.get_records(ProvActivity)
    assert activity.identifier.localpart == run
    assert activity.get_startTime() <= activity.get_endTime()
    assert {str(value) for value in activity.get_attribute("fg:energy_joules")} == {"3.5"}
    checkpoint, split = f"checkpoint/{lineage['checkpoint']}", f"split/{lineage['split']}"
    (model,) = [
        each.identifier.localpart for each in bundle.get_records(ProvEntity) if "model/" in str(each.identifier)
    ]
    assert related(bundle, "Usage") == {(run, split)}
    assert related(bundle, "Generation") == {(checkpoint, run), (model, run)}
    assert related(bundle, "Derivation") == {(model, split)}
    assert related(bundle, "Specialization") == {(checkpoint, model)}
    assert related(bundle, "Membership") == {(split, f"sequence/{lineage['sequence']}")}
    assert related(bundle, "Association") == {(run, "software/unknown")}
    (association,) = [each for each in bundle.get_records() if each.get_type().localpart == "Association"]
    assert association.args[2].localpart == f"config/{lineage['training']}"


async def test_a_prediction_leads_back_to_its_start(gateway: Gateway, lineage: dict[str, str]) -> None:
    found = read(document([await provenance(gateway, lineage["prediction"])]))
    (bundle,) = found.bundles
    run, call = f"run/{lineage['prediction']}", f"prediction/{lineage['call']}"
    start, checkpoint = f"energysnapshot/{lineage['start']}", f"checkpoint/{lineage['checkpoint']}"
    assert related(bundle, "Usage") == {(run, start), (run, checkpoint), (call, start), (call, checkpoint)}
    (first,) = [later for later, earlier in related(bundle, "Derivation") if earlier == start]
    (second,) = [later for later, earlier in related(bundle, "Derivation") if earlier == first]
    assert related(bundle, "Generation") == {(first, call), (second, call)}
    assert related(bundle, "Communication") == {(run, f"run/{lineage['training']}")}
    assert {first, second} == {later for later, _ in related(bundle, "Alternate")}
    starters = {
        (r.args[0].localpart, r.args[2].localpart) for r in bundle.get_records() if r.get_type().localpart == "Start"
    }
    assert starters == {(call, run), (run, f"run/{lineage['training']}")}


async def test_all_runs_are_one_graph(gateway: Gateway, lineage: dict[str, str]) -> None:
    records = [await provenance(gateway, row.uid) for row in await runs.list_runs(gateway)]
    found = read(document(records))
    assert len(list(found.bundles)) == 2
    whole = found.flattened().unified()
    activities = {record.identifier for record in whole.get_records(ProvActivity)}
    entities = {record.identifier for record in whole.get_records(ProvEntity)}
    assert len(activities) == 3
    # nothing is both, as PROV-CONSTRAINTS 55 has it
    assert not activities & entities
    # a run that goes on has no end
    (running,) = [
        record for record in whole.get_records(ProvActivity) if lineage["prediction"] in str(record.identifier)
    ]
    assert running.get_endTime() is None
    # whatever a relation names is described
    named = {
        end
        for record in whole.get_records()
        if record.is_relation()
        for end in record.args
        if hasattr(end, "localpart")
    }
    assert {name.localpart for name in named} <= {
        record.identifier.localpart for record in whole.get_records() if record.identifier
    }


async def test_twice_is_the_same_document(gateway: Gateway, lineage: dict[str, str]) -> None:
    once, again = [document([await provenance(gateway, lineage["training"])]) for _ in range(2)]
    assert once == again


async def test_files_that_were_removed_are_invalidated(gateway: Gateway, lineage: dict[str, str]) -> None:
    await gateway.write("MATCH (c:Checkpoint) SET c.removed_at = datetime()")
    (bundle,) = read(document([await provenance(gateway, lineage["training"])])).bundles
    (gone,) = [each for each in bundle.get_records() if each.get_type().localpart == "Invalidation"]
    assert gone.args[0].localpart == f"checkpoint/{lineage['checkpoint']}"
    assert gone.args[2] is not None


async def test_an_odd_version_is_a_name_all_the_same(gateway: Gateway) -> None:
    run = await builders.submit(gateway, code_version="0.1.0+dirty of <today>, 1/2")
    (bundle,) = read(document([await provenance(gateway, run.uid)])).bundles
    assert len(related(bundle, "Association")) == 1
