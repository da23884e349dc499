"""Autonomous cognitive experiments: hypotheses, the runs that test them, their stages and their members' votes."""

from __future__ import annotations

from neomodel import (
    AsyncOne,
    AsyncRelationshipFrom,
    AsyncRelationshipTo,
    AsyncStructuredNode,
    AsyncStructuredRel,
    AsyncZeroOrMore,
    AsyncZeroOrOne,
    BooleanProperty,
    DateTimeNeo4jFormatProperty,
    FloatProperty,
    IntegerProperty,
    StringProperty,
)

from graph.models.domain import Domain
from graph.models.prediction import Evaluation
from graph.models.relations import Used
from graph.models.run import Run


class TestedBy(AsyncStructuredRel):
    """A hypothesis and a run that tests it; what that run found, absent until it has."""

    verdict = StringProperty()
    # before and after
    prior = FloatProperty()
    credence = FloatProperty()
    # log10 of the Bayes factor: above 0 it speaks for the claim
    weight = FloatProperty()
    # all that was found, as it was reported
    verdict_json = StringProperty()
    taken_at = DateTimeNeo4jFormatProperty(required=True)
    settled_at = DateTimeNeo4jFormatProperty()


class Weighed(AsyncStructuredRel):
    """What decided: evidence, by the run that cites it."""

    weight = FloatProperty(required=True)
    run = StringProperty(required=True)


class Stage(AsyncStructuredNode):
    """One stage of an experiment in one round: what went in, what came out and what that took."""

    uid = StringProperty(required=True, unique_index=True)
    run = StringProperty(required=True)
    # spawn, compose, plan, schedule, execute, verify, report or retire, and its place among them, from 1
    name = StringProperty(required=True)
    position = IntegerProperty(required=True)
    # from 1; verify may lead back to compose, which begins the next
    round = IntegerProperty(required=True)
    # RUNNING or DONE
    state = StringProperty(required=True)
    # of the run, when it was last begun
    attempt = IntegerProperty(required=True)
    inputs_json = StringProperty(required=True)
    outputs_json = StringProperty()
    started_at = DateTimeNeo4jFormatProperty(required=True)
    finished_at = DateTimeNeo4jFormatProperty()
    energy_joules = FloatProperty()
    energy_source = StringProperty()
    energy_measured = FloatProperty()
    energy_estimated = FloatProperty()
    # parts of whose energy nothing is known
    unmetered = IntegerProperty()
    seconds = FloatProperty()

    then = AsyncRelationshipTo("Stage", "THEN", cardinality=AsyncZeroOrOne)
    run_of = AsyncRelationshipFrom("ACERun", "STAGE", cardinality=AsyncOne)


class Vote(AsyncStructuredNode):
    """What one member of a shadow ensemble said in one round."""

    uid = StringProperty(required=True, unique_index=True)
    run = StringProperty(required=True)
    round = IntegerProperty(required=True)
    member = IntegerProperty(required=True)
    # of its parameters: tells members apart
    sha256 = StringProperty(required=True)
    agrees = BooleanProperty(required=True)
    # predictions that it voted on, and those where it was one of the quorum
    starts = IntegerProperty()
    agreed = IntegerProperty()
    at = DateTimeNeo4jFormatProperty(required=True)

    run_of = AsyncRelationshipFrom("ACERun", "VOTE", cardinality=AsyncOne)


class ACERun(Run):
    """Tests a hypothesis by experiments, which are runs of their own, and issues a verdict."""

    stages = AsyncRelationshipTo(Stage, "STAGE", cardinality=AsyncZeroOrMore)
    votes = AsyncRelationshipTo(Vote, "VOTE", cardinality=AsyncZeroOrMore)
    cites = AsyncRelationshipTo(Evaluation, "USED", model=Used, cardinality=AsyncZeroOrMore)


class Hypothesis(AsyncStructuredNode):
    """A sentence and the claim that it makes; one node per claim, however it is said."""

    uid = StringProperty(required=True, unique_index=True)
    # sha256 of the claim's canonical JSON
    key = StringProperty(unique_index=True)
    text = StringProperty(required=True)
    claim_json = StringProperty()
    # of the claim, to filter by; a comparison has a baseline in `versus`
    domain = StringProperty()
    metric = StringProperty()
    comparator = StringProperty()
    threshold = FloatProperty()
    versus = StringProperty()
    model = StringProperty()
    regime = StringProperty()
    horizon = IntegerProperty()
    perturbation = StringProperty()
    # 0 … 1, now
    credence = FloatProperty()
    # untested, supported, refuted or undetermined: of the run that settled it last
    verdict = StringProperty()
    created_at = DateTimeNeo4jFormatProperty()
    settled_at = DateTimeNeo4jFormatProperty()

    about = AsyncRelationshipTo(Domain, "ABOUT", cardinality=AsyncZeroOrOne)
    # what it was asked after
    refines = AsyncRelationshipTo("Hypothesis", "REFINES", cardinality=AsyncZeroOrMore)
    tested_by = AsyncRelationshipTo(ACERun, "TESTED_BY", model=TestedBy, cardinality=AsyncZeroOrMore)
    supported_by = AsyncRelationshipTo(Evaluation, "SUPPORTED_BY", model=Weighed, cardinality=AsyncZeroOrMore)
    refuted_by = AsyncRelationshipTo(Evaluation, "REFUTED_BY", model=Weighed, cardinality=AsyncZeroOrMore)
