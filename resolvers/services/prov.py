"""PROV: runs and what they did as a PROV-JSON document, which tools that know nothing of us can read.

    Run, Prediction, Stage        prov:Activity      a child wasStartedBy its parent, wasInformedBy others
    Hypothesis, Vote, outputs     prov:Entity        of stages; a verdict wasDerivedFrom hypothesis and evidence
    inputs, outputs, states       prov:Entity        used {role}, wasGeneratedBy, wasDerivedFrom; Split: prov:Collection
    configuration                 prov:Plan          of the association of the run with the software
    code version                  prov:SoftwareAgent
    checkpoint k + 1              a prov:Revision of checkpoint k, a specialization of its Model
    Ê of lead k + 1               derived from Ê of lead k, an alternate of the truth
    removed files                 wasInvalidatedBy
    all that is said of a run     prov:Bundle

References: Moreau & Missier (eds.), PROV-DM, W3C Recommendation (2013); Huynh et al., The PROV-JSON Serialization, W3C
Member Submission (2013).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from graph.identity import canonical_json, digest
from graph.queries.hypotheses import EVIDENCE
from graph.queries.provenance import OUTCOME, Call, Provenance, Thing
from graph.queries.run_rows import RUN_LABELS

NAMESPACE = "urn:fieldgraph:"
Attributes = dict[str, Any]


def document(records: Iterable[Provenance]) -> dict[str, Any]:
    """One bundle per run, in a PROV-JSON document; `flattened` they are one graph, for names are the graph's own."""
    bundles = {f"fg:record/{known.run.uid}": bundle(known) for known in records}
    return {
        "prefix": {"fg": NAMESPACE},
        "entity": {name: {"prov:type": _name("prov:Bundle")} for name in bundles},
        "bundle": bundles,
    }


def bundle(known: Provenance) -> dict[str, dict[str, Attributes]]:
    """What is known of one run."""
    return _Bundle(known).records


class _Bundle:
    """The records of one run, by kind and name."""

    def __init__(self, known: Provenance) -> None:
        self.records: dict[str, dict[str, Attributes]] = {}
        self._relations = 0
        self._known = known
        self._run = f"fg:run/{known.run.uid}"
        self._describe_run()
        for thing in known.inputs:
            self._relate("used", {"prov:activity": self._run, "prov:entity": self._thing(thing)}, role=thing.role)
        for thing in known.outputs:
            self._output(thing)
        for call in known.calls:
            self._call(call)
        self._states()
        self._derive()
        self._experiment()

    def _describe_run(self) -> None:
        run = self._known.run
        label = RUN_LABELS.get(run.kind, "Run")
        facts: Attributes = {
            "prov:type": _name(f"fg:{label}"),
            "prov:startTime": _time(run.started_at),
            "prov:endTime": _time(run.finished_at),
            "fg:kind": run.kind,
            "fg:state": run.state,
            "fg:attempt": run.attempt,
            # as text: larger ones are no whole numbers to all readers
            "fg:rng_seed": str(run.rng_seed),
            "fg:device": run.device,
            "fg:energy_joules": run.energy_joules,
            "fg:energy_source": run.energy_source,
            "fg:created_at": _moment(run.created_at),
            "fg:offline": run.offline,
            "fg:error_code": run.error_code,
            "fg:error_message": run.error_message,
        }
        self._add("activity", self._run, facts)
        plan = f"fg:config/{run.uid}"
        asked = {"fg:config": canonical_json(run.config).decode(), "fg:sha256": digest(run.config)}
        self._add("entity", plan, {"prov:type": _name("prov:Plan"), **asked})
        self._software = f"fg:software/{quote(run.code_version or 'unknown')}"
        self._add("agent", self._software, {"prov:type": _name("prov:SoftwareAgent"), "fg:version": run.code_version})
        self._relate("wasAssociatedWith", {"prov:activity": self._run, "prov:agent": self._software, "prov:plan": plan})
        for other in self._known.informed_by:
            self._relate("wasInformedBy", {"prov:informed": self._run, "prov:informant": f"fg:run/{other}"})
        if self._known.parent is not None:
            self._relate("wasStartedBy", {"prov:activity": self._run, "prov:starter": f"fg:run/{self._known.parent}"})

    def _output(self, thing: Thing) -> None:
        if thing.label == "Prediction":
            return  # an activity: its states are what came of it
        entity = self._thing(thing)
        if thing.role == "found":
            self._relate("used", {"prov:activity": self._run, "prov:entity": entity}, role="found")
            return
        made = {"prov:entity": entity, "prov:activity": self._run}
        self._relate("wasGeneratedBy", {**made, "prov:time": _time(thing.properties.get("created_at"))})
        if thing.label == "Model":
            self._relate("wasAttributedTo", {"prov:entity": entity, "prov:agent": self._software})
            for source in self._known.inputs:
                if source.label in ("Split", "Sequence", "Model", "Checkpoint"):
                    self._derived(entity, self._thing(source))
        if thing.label == "Checkpoint" and (model := thing.properties.get("model")):
            whole = self._bare("Model", model)
            self._relate("specializationOf", {"prov:specificEntity": entity, "prov:generalEntity": whole})

    def _call(self, call: Call) -> None:
        activity = f"fg:prediction/{call.uid}"
        kind = {"prov:type": _name("fg:Prediction"), "fg:violation_count": call.violation_count}
        self._add("activity", activity, kind)
        self._relate("wasStartedBy", {"prov:activity": activity, "prov:starter": self._run})
        if call.start is not None:
            start = self._bare("EnergySnapshot", call.start, sha256=call.start_sha256)
            self._relate("used", {"prov:activity": activity, "prov:entity": start}, role="start")
        for uid, sha256 in call.checkpoints:
            checkpoint = self._bare("Checkpoint", uid, sha256=sha256)
            self._relate("used", {"prov:activity": activity, "prov:entity": checkpoint}, role="checkpoint")

    def _states(self) -> None:
        for state in self._known.states:
            entity = self._bare("EnergySnapshot", state.uid, sha256=state.sha256, lead=state.lead, member=state.member)
            made = {"prov:entity": entity, "prov:activity": f"fg:prediction/{state.prediction}"}
            self._relate("wasGeneratedBy", made)
            if state.previous is not None:
                self._derived(entity, self._bare("EnergySnapshot", state.previous))
            if state.truth is not None:
                truth = self._bare("EnergySnapshot", state.truth)
                self._relate("alternateOf", {"prov:alternate1": entity, "prov:alternate2": truth})

    def _derive(self) -> None:
        """Checkpoints from those before them; splits and what is in them."""
        for later, earlier in self._known.derived:
            found = self._bare("Checkpoint", later), self._bare("Checkpoint", earlier)
            self._derived(*found, kind="prov:Revision")
        for whole, part in self._known.members:
            member = self._bare("Sequence", part)
            self._relate("hadMember", {"prov:collection": self._bare("Split", whole), "prov:entity": member})

    def _experiment(self) -> None:
        """What an ACE run tested, its stages, the votes in the last of them, and the verdicts that came of it."""
        evidence = [self._thing(thing) for thing in self._known.inputs if thing.role == EVIDENCE]
        for found in self._known.hypotheses:
            said = self._bare("Hypothesis", found["uid"], text=found["text"], claim=found["claim"])
            self._relate("used", {"prov:activity": self._run, "prov:entity": said}, role="hypothesis")
            if found["settled_at"] is None:
                continue
            facts = {key: found[key] for key in ("verdict", "prior", "credence", "weight")}
            verdict = self._bare("Verdict", f"{self._known.run.uid}/{found['uid']}", **facts)
            made = {"prov:entity": verdict, "prov:activity": self._run}
            self._relate("wasGeneratedBy", {**made, "prov:time": _time(found["settled_at"])})
            for source in (said, *evidence):
                self._derived(verdict, source)
        before, verified = None, self._run
        for stage in self._known.stages:
            activity = self._stage(stage)
            if before is not None:
                self._relate("wasInformedBy", {"prov:informed": activity, "prov:informant": before})
            before, verified = activity, activity if stage["name"] == "verify" else verified
        for vote in self._known.votes:
            said = self._bare("Vote", vote["uid"], **{key: vote[key] for key in ("member", "sha256", "agrees")})
            self._relate("wasGeneratedBy", {"prov:entity": said, "prov:activity": verified})

    def _stage(self, stage: Mapping[str, Any]) -> str:
        activity = f"fg:stage/{stage['uid']}"
        facts = {
            "prov:type": _name("fg:Stage"),
            "prov:label": stage["name"],
            "prov:startTime": _time(stage["started_at"]),
            "prov:endTime": _time(stage["finished_at"]),
            **{f"fg:{key}": stage[key] for key in ("round", "energy_joules", "energy_source", "seconds")},
        }
        self._add("activity", activity, facts)
        self._relate("wasStartedBy", {"prov:activity": activity, "prov:starter": self._run})
        if stage["outputs"]:
            made = self._bare("Outputs", stage["uid"], sha256=digest(stage["outputs"]), value=stage["outputs"])
            self._relate("wasGeneratedBy", {"prov:entity": made, "prov:activity": activity})
        return activity

    def _thing(self, thing: Thing) -> str:
        label = "Outcome" if thing.role == OUTCOME else thing.label
        name = self._bare(label, thing.uid, sha256=thing.sha256, **{**thing.properties, "removed_at": None})
        removed = thing.properties.get("removed_at")
        gone = {"prov:entity": name, "prov:time": _time(removed)}
        if removed is not None and gone not in self.records.get("wasInvalidatedBy", {}).values():
            self._relate("wasInvalidatedBy", gone)
        return name

    def _bare(self, label: str, uid: str, **properties: Any) -> str:
        """The name of an entity, which is there from now on with at least these properties."""
        name = f"fg:{label.lower()}/{quote(uid)}"
        types = [_name(f"fg:{label}")] + ([_name("prov:Collection")] if label == "Split" else [])
        facts = {f"fg:{key}": _plain(value) for key, value in properties.items()}
        self._add("entity", name, {"prov:type": types if len(types) > 1 else types[0], **facts})
        return name

    def _derived(self, later: str, earlier: str, *, kind: str | None = None) -> None:
        ends: Attributes = {"prov:generatedEntity": later, "prov:usedEntity": earlier}
        self._relate("wasDerivedFrom", {**ends, "prov:type": None if kind is None else _name(kind)})

    def _add(self, kind: str, name: str, facts: Mapping[str, Any]) -> None:
        known = self.records.setdefault(kind, {}).setdefault(name, {})
        known.update({key: value for key, value in facts.items() if value is not None})

    def _relate(self, kind: str, ends: Mapping[str, Any], *, role: str | None = None) -> None:
        self._relations += 1
        self._add(kind, f"_:{kind}{self._relations}", {**ends, "prov:role": role})


def _name(qualified: str) -> dict[str, str]:
    return {"$": qualified, "type": "prov:QUALIFIED_NAME"}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _moment(moment: datetime) -> dict[str, str]:
    return {"$": moment.isoformat(), "type": "xsd:dateTime"}


def _plain(value: Any) -> Any:
    """A value of JSON that says what type it is."""
    if isinstance(value, datetime):
        return _moment(value)
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value
