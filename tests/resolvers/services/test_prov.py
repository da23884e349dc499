"""The PROV document is what the `prov` package understands, and says what the graph says."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from prov.model import ProvActivity, ProvBundle, ProvDocument, ProvEntity

from graph.gateway import Gateway
from graph.queries import ace, hypotheses, prediction, runs
from graph.queries.ace import NewVote
from graph.queries.prediction import NewPredicted
from graph.queries.provenance import provenance
from resolvers.services.prov import NAMESPACE, document
from tests.graph.queries import builders, experiments

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


async def test_an_experiment_is_its_stages_and_what_came_of_them(gateway: Gateway) -> None:
    _, _, checkpoint = await builders.trained(gateway)
    evidence = await experiments.evaluated(gateway, checkpoint)
    tested, untested = [await experiments.proposed(gateway, key=key) for key in ("a", "b")]
    run = await experiments.experiment(gateway)
    await experiments.walk(gateway, run.lease, until="verify", rounds=2)
    for round, agree in ((1, False), (2, True)):
        votes = [NewVote(member=n, sha256=f"{n}a", agrees=agree, round=round) for n in range(3)]
        await ace.record_votes(gateway, run.lease, votes)
    await hypotheses.take_up(gateway, run.lease, untested.uid)
    await hypotheses.settle(
        gateway, run.lease, hypothesis=tested.uid, verdict="refuted", credence=0.2, weight=-0.6, evidence=[evidence]
    )

    (bundle,) = read(document([await provenance(gateway, run.uid)])).bundles
    activity, verdict = f"run/{run.uid}", f"verdict/{run.uid}/{tested.uid}"
    stages = [f"stage/{stage.uid}" for stage in await ace.stages(gateway, run.uid)]
    assert len(stages) == 1 + 2 * 5
    assert {each.identifier.localpart for each in bundle.get_records(ProvActivity)} == {activity, *stages}
    assert related(bundle, "Communication") == {(later, earlier) for earlier, later in pairwise(stages)}
    assert related(bundle, "Usage") == {
        (activity, f"evaluation/{evidence}"),
        *((activity, f"hypothesis/{one.uid}") for one in (tested, untested)),
    }
    assert related(bundle, "Derivation") == {
        (verdict, f"hypothesis/{tested.uid}"),
        (verdict, f"evaluation/{evidence}"),
    }
    made = {by: {thing for thing, maker in related(bundle, "Generation") if maker == by} for by in (activity, *stages)}
    assert made[activity] == {verdict, f"outcome/{run.uid}"}
    # the votes that the verdict rests on are those of the last round
    assert len([thing for thing in made[stages[-1]] if thing.startswith("vote/")]) == 3
    assert not any(thing.startswith("vote/") for by in stages[:-1] for thing in made[by])
    assert all(f"outputs/{by.removeprefix('stage/')}" in made[by] for by in stages)
    (said,) = [each for each in bundle.get_records(ProvEntity) if each.identifier.localpart == verdict]
    assert {str(value) for value in said.get_attribute("fg:verdict")} == {"refuted"}


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
