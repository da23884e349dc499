"""Schedule: what is to be done, in which order and where, and why: the most expected information per joule first.

What n more sequences say of a claim, before they are looked at, is the mutual information between the claim and the
number s of them on its side, with credence c and the share p of all sequences uniform beyond and below one half:

    I(n) = H(c) − Σ_s P(s) H(c | s),    odds(c | s) = odds(c) e(s, n) / e(n − s, n)

with e of `resolvers.ace.sequential`; later sequences add less. Of the ensemble nothing is known beforehand: whether a
quorum of its members agrees is worth one bit. Work that others need is paid for with what they bring: the bits of a
chain are divided by all of its joules. What does not fit into the budget is left out, and it says so.

Reference: Lindley, "On a measure of the information provided by an experiment", Annals of Mathematical Statistics 27
(1956).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from resolvers.ace.sequential import evidence
from resolvers.energy.budget import Account

CHUNK = 10
"""Sequences of one evaluation: the test looks between two of them."""
OVERHEAD = 1.05
"""Of what the works take: the experiment looks things up itself."""
SURE = 1.5
"""Factor of error up to which an estimate is taken at its word; a worse one is given a chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing to do: a run to be."""

    name: str
    # kind of run, and which worker takes it
    kind: str
    capability: str
    config: Mapping[str, Any]
    rng_seed: int
    # (uid, role)
    inputs: tuple[tuple[str, str], ...]
    # sequences that it looks at
    sequences: tuple[str, ...] = ()
    # names of what has to be done before
    needs: tuple[str, ...] = ()
    # expected, in bits; 0 for what is done for others only
    information: float = 0.0
    # expected to take; joules are None where nothing can be said
    seconds: float = 0.0
    joules: float | None = None
    # a factor, and how both are known
    error: float = 1.0
    source: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Work:
        lists = {name: tuple(plain[name]) for name in ("sequences", "needs")}
        return cls(**{**plain, **lists, "inputs": tuple((uid, role) for uid, role in plain["inputs"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A work in its place, and why it has it."""

    work: Work
    why: str
    # None where it fits
    left_out: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"work": self.work.to_json(), "why": self.why, "left_out": self.left_out}


def order(works: Sequence[Work], account: Account, *, after: Sequence[Work] = ()) -> list[Placed]:
    """The works, chain by chain, the most bits per joule (per second where no joules are known) first.

    `after`: works that are placed before them, and paid for.
    """
    by_name = {work.name: work for work in works}
    unit = account.budget.unit
    left = account.left - sum(_expected(work, unit) for work in after)
    placed: list[Placed] = []
    done = {work.name for work in after}
    waiting = [work for work in works if work.information > 0 and work.name not in done]
    while waiting:
        chains = {work.name: [*_before(work, by_name, done), work] for work in waiting}
        best = max(waiting, key=lambda work: (worth(chains[work.name]), -works.index(work)))
        chain = chains[best.name]
        expected = sum(_expected(work, unit) for work in chain)
        fits = sum(_least(work, unit) for work in chain) <= left
        refused = None if fits else f"about {expected:.3g} {unit} are expected and {left:.3g} {unit} are left"
        placed += [Placed(work=work, why=_why(best, chain, unit), left_out=refused) for work in chain]
        done |= {work.name for work in chain}
        left -= expected if fits else 0.0
        waiting = [work for work in waiting if work.name not in done and not _hopeless(work, by_name, placed)]
    return placed


def affordable(works: Sequence[Work], placed: Sequence[Placed], account: Account, *, missing: int) -> list[Placed]:
    """The placed works where they may lead to a verdict, else what one takes first, else nothing: half of one is none.

    A verdict takes `missing` sequences more and, unless it has spoken, the ensemble. Where that does not fit, the
    reason names the budget that would do.
    """
    needed, unit = _needed(works, missing), account.budget.unit
    if not _out(placed) & {work.name for work in needed}:
        return list(placed)
    first = order(needed, account)
    if not _out(first):
        return [*first, *order(works, account, after=needed)]
    expected = sum(_expected(work, unit) for work in needed)
    reason = (
        f"a verdict takes about {expected:.3g} {unit} more and {account.left:.3g} {unit} are left of {account.budget}; "
        f"{would_do(needed, account)}"
    )
    return [Placed(work=one.work, why=one.why, left_out=reason) for one in placed]


def would_do(works: Sequence[Work], account: Account) -> str:
    """The budget that these works would fit into, beside what is spent."""
    unit = account.budget.unit
    needed = account.spent + OVERHEAD * sum(_expected(work, unit) for work in works)
    return f"--budget {_rounded_up(needed):g}{unit} would do"


def worth(chain: Sequence[Work]) -> float:
    """Bits per joule of a chain; per second where nobody can say joules."""
    bits = sum(work.information for work in chain)
    joules = [work.joules for work in chain]
    cost = sum(work.seconds for work in chain) if None in joules else sum(one for one in joules if one is not None)
    return bits / max(cost, 1e-9)


def information(credence: float, n: int) -> float:
    """Bits that n sequences are expected to say of a claim of this credence."""
    if n == 0:
        return 0.0
    after = 0.0
    for s in range(n + 1):
        # P(s | p > ½) = C(n, s) e(s, n) / 2ⁿ, p uniform beyond one half; the other by symmetry
        true = math.exp(_log_choose(n, s) - n * math.log(2)) * evidence(s, n)
        false = math.exp(_log_choose(n, s) - n * math.log(2)) * evidence(n - s, n)
        seen = credence * true + (1 - credence) * false
        if seen > 0:
            after += seen * entropy(credence * true / seen)
    return max(entropy(credence) - after, 0.0)


def entropy(p: float) -> float:
    """Of a coin, in bits."""
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q > 0)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _out(placed: Sequence[Placed]) -> set[str]:
    return {one.work.name for one in placed if one.left_out is not None}


def _needed(works: Sequence[Work], missing: int) -> list[Work]:
    """The ensemble, evaluations of so many sequences (of all where there are fewer), and what they need."""
    by_name = {work.name: work for work in works}
    found: list[Work] = []
    for work in works:
        looks = len(work.sequences) if work.kind == "evaluation" else 0
        if (looks and missing > 0) or (work.information > 0 and not looks):
            missing -= looks
            done = {one.name for one in found}
            found += [one for one in (*_before(work, by_name, done), work) if one.name not in done]
    return found


def _rounded_up(value: float) -> float:
    """To two digits."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return math.ceil(value / unit - 1e-9) * unit


def _before(work: Work, by_name: Mapping[str, Work], done: Iterable[str]) -> list[Work]:
    """What has to be done before it and is not in place yet, in order."""
    found: list[Work] = []
    for name in work.needs:
        if name not in done:
            found += [*_before(by_name[name], by_name, {*done, *(one.name for one in found)}), by_name[name]]
    return found


def _hopeless(work: Work, by_name: Mapping[str, Work], placed: Sequence[Placed]) -> bool:
    """Whether something that it needs was left out."""
    out = {one.work.name for one in placed if one.left_out is not None}
    return any(name in out or _hopeless(by_name[name], by_name, placed) for name in work.needs)


def _expected(work: Work, unit: str) -> float:
    return work.seconds if unit == "s" else work.joules or 0.0


def _least(work: Work, unit: str) -> float:
    """What it will take at least: as much as expected, unless that is a guess."""
    return _expected(work, unit) / (1.0 if work.error < SURE else work.error)


def _why(best: Work, chain: Sequence[Work], unit: str) -> str:
    joules = [work.joules for work in chain]
    known = None not in joules and unit == "J"
    cost = sum(one or 0.0 for one in joules) if known else sum(work.seconds for work in chain)
    what = f"{sum(work.information for work in chain):.3g} bits for about {cost:.3g} {'J' if known else 's'}"
    made = "" if len(chain) == 1 else f", {' and '.join(work.name for work in chain[:-1])} included"
    return f"{best.name}: {what}{made}; {best.capability} worker, {best.source}"
