"""A hypothesis to be tested: from a sentence or a claim to a QUEUED run, checked before anything is queued. No JAX.

What leaves something open is not guessed: `submit_ace` raises the grammar's `Unclear` with one question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from graph.errors import GraphError
from graph.identity import digest
from graph.queries import hypotheses, runs
from graph.queries.runs import RunRow
from graph.queries.training import ModelRow
from resolvers.ace.claims import Claim
from resolvers.ace.grammar import parse as read_sentence
from resolvers.ace.shadows import LARGEST, MEMBERS
from resolvers.energy.budget import parse as parse_budget
from resolvers.poke import poke
from resolvers.services import client_keys
from resolvers.services.ace.composing import SIZE, STEPS
from resolvers.services.ace.subject import subject
from resolvers.services.context import Services
from resolvers.services.version import code_version

SHADOW_SIZES, SAME = ("tiny", "small", "base"), "same"
"""Networks that members may be; `same`: as large as the model under test."""
MOST_STEPS = 100_000
PRIOR = 0.5
"""Credence in what nobody has tested yet."""
MAX_ROUNDS = 10
CAPABILITY = "orchestration"


@dataclass(frozen=True, slots=True, kw_only=True)
class AceRequest:
    """Test a hypothesis by experiment."""

    # a plain sentence; may be left out where `claim` says it
    text: str = ""
    # the claim as `Claim.to_json` has it, where somebody has confirmed one; else the sentence is read
    claim: Mapping[str, Any] | None = None
    # what it may spend, with all that it asks for: 500J, 2kJ or 90s
    budget: str = "5kJ"
    # members of the shadow ensemble, their size (`same`: that of the model under test) and how long they are trained
    shadows: int = MEMBERS
    shadow_size: str = SIZE
    shadow_steps: int = STEPS
    # how often more evidence is looked for
    max_rounds: int = 3
    # root of everything random, >= 0
    seed: int = 0
    # a new run even where the same was asked before
    force: bool = False


async def submit_ace(services: Services, request: AceRequest, *, client_key: str | None = None) -> RunRow:
    """Queue the experiment; the same claim about the same checkpoint, over again, is the same run.

    A `client_key` gives the run that it was first given with, whatever has changed since. Raises `Unclear` for a
    sentence that leaves something open, FieldError for a claim that is none, GraphError for a budget that nothing can
    be done with, where there is no checkpoint to test, and for a client key that came with another request.
    """
    claim = claimed(request)
    allowed = parse_budget(request.budget)
    if not 2 <= request.shadows <= LARGEST:
        raise _refused(f"2 … {LARGEST} shadows", request.shadows)
    if not 1 <= request.shadow_steps <= MOST_STEPS:
        raise _refused(f"1 … {MOST_STEPS} steps of each shadow", request.shadow_steps)
    if request.shadow_size not in (*SHADOW_SIZES, SAME):
        raise _refused(f"a size of the shadows out of {', '.join((*SHADOW_SIZES, SAME))}", request.shadow_size)
    if not 1 <= request.max_rounds <= MAX_ROUNDS:
        raise _refused(f"1 … {MAX_ROUNDS} rounds", request.max_rounds)
    if not 0 <= request.seed < 2**63:  # what Neo4j holds
        raise _refused("a seed of 0 … 2⁶³ − 1", request.seed)
    tested = await subject(services.gateway, claim)
    hypothesis = await hypotheses.propose(
        services.gateway,
        text=request.text or claim.sentence(),
        claim=claim.to_json(),
        key=claim.key(),
        credence=PRIOR,
        about=claim.domain,
    )
    config: dict[str, Any] = {
        "text": request.text or claim.sentence(),
        "claim": claim.to_json(),
        "hypothesis": hypothesis.uid,
        "checkpoint": tested.uid,
        "compute_budget": str(allowed),
        "shadows": request.shadows,
        "shadow_size": _shadow_size(request, tested.model),
        "shadow_steps": request.shadow_steps,
        "max_rounds": request.max_rounds,
    }
    code = code_version()
    asked = {name: value for name, value in config.items() if name not in ("text", "hypothesis")}
    key = digest({"kind": "ace", **asked, "rng_seed": request.seed, "code": code})
    if client_key is not None:
        config[client_keys.REQUEST] = digest(asdict(request))
        key = client_keys.dedup_key("ace", client_key)
    run = await runs.submit(
        services.gateway,
        kind="ace",
        config=config,
        capability=CAPABILITY,
        dedup_key=key,
        rng_seed=request.seed,
        inputs=[(tested.uid, "checkpoint"), (tested.model.split, "split")],
        force=request.force and client_key is None,
        code_version=code,
    )
    poke(services.settings, CAPABILITY)
    return run if client_key is None else client_keys.told(run, client_key, asdict(request))


def claimed(request: AceRequest) -> Claim:
    """What is claimed: as it was confirmed, else as the sentence says."""
    if request.claim is not None:
        return Claim.from_json(request.claim)
    return read_sentence(request.text)


def _shadow_size(request: AceRequest, model: ModelRow) -> str:
    """The size that members get. Raises GraphError where there is no network of the size under test to train."""
    if request.shadow_size != SAME:
        return request.shadow_size
    size = (model.config.get("training") or {}).get("size")
    if size not in SHADOW_SIZES:
        raise _refused(f"a model under test of a size that shadows can have ({', '.join(SHADOW_SIZES)})", model.name)
    return str(size)


def _refused(expected: str, got: object) -> GraphError:
    return GraphError("BAD_REQUEST", f"expected {expected}, got {got}.", next_step="Leave it out for the default.")
