"""What to ask next: claims that a verdict makes worth asking, each a refinement of the one before.

supported      further ahead; a threshold as sharp as the interval allows; with noise on the inputs
refuted        only as far as no lead was refuted; the threshold that the interval still allows
undetermined   nothing new: the same claim, on more sequences
"""

from __future__ import annotations

import math
from dataclasses import replace

from nvp.errors import FieldError
from resolvers.ace.claims import HORIZON, Claim, Perturbation
from resolvers.ace.verdicts import Verdict

_NOISE = Perturbation(operation="gaussian_noise", amount=0.01)


def successors(claim: Claim, verdict: Verdict) -> tuple[Claim, ...]:
    """The next claims, the most telling first."""
    if verdict.verdict == "supported":
        asked = [_further(claim), _at_interval(claim, verdict), replace(claim, perturbation=_NOISE)]
        asked = asked[: 2 if claim.perturbation is not None else 3]
    elif verdict.verdict == "refuted":
        asked = [_shorter(claim, verdict), _at_interval(claim, verdict)]
    else:
        asked = []
    return tuple(dict.fromkeys(one for one in asked if one is not None and one != claim))


def _further(claim: Claim) -> Claim | None:
    return replace(claim, horizon=2 * claim.horizon) if 2 * claim.horizon <= HORIZON else None


def _shorter(claim: Claim, verdict: Verdict) -> Claim | None:
    """As far as no lead was refuted."""
    if claim.leads == "last":
        return None
    first = next(lead for lead in claim.steps if verdict.of(f"lead {lead}").decision == "refuted")
    return replace(claim, horizon=first - 1) if first > 1 else None


def _at_interval(claim: Claim, verdict: Verdict) -> Claim | None:
    """The sharpest threshold that no median within the interval of the decisive lead misses."""
    above = claim.comparator in (">", ">=")
    bound = verdict.interval[0 if above else 1]
    if bound is None:
        return None
    # two digits, on the safe side
    rounded = (math.floor if above else math.ceil)(bound * 100) / 100
    try:
        return replace(claim, threshold=rounded)
    except FieldError:
        return None
