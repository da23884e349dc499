"""Sentences: what the guide says of each is what the grammar makes of it, and claims read back as they were said."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nvp.atlas.regime import REGIMES
from nvp.dynamics.domain import DOMAINS
from resolvers.ace.claims import SIZES, Claim, Perturbation
from resolvers.ace.grammar import Unclear, parse
from resolvers.ace.metrics import BASELINES, METRICS

ROOT = Path(__file__).parents[3]
GUIDE, GRAMMAR = ROOT / "docs" / "ace.md", ROOT / "resolvers" / "ace" / "claims.lark"
NOISES = [0.01, 0.07, 0.123, 1.0, 3e-5]


def table(second: str) -> list[tuple[str, str]]:
    """Rows of the guide's table whose second column is called so."""
    _, _, rest = GUIDE.read_text(encoding="utf-8").partition(f"| sentence | {second} |\n|---|---|\n")
    rows = rest.partition("\n\n")[0].splitlines()
    return [(one.strip(), other.strip(" `")) for one, other in (row.strip("|").split(" | ") for row in rows)]


UNDERSTOOD, REFUSED = table("claim"), table("question")


def test_the_guide_has_enough_of_both() -> None:
    assert len(UNDERSTOOD) >= 40
    assert len(REFUSED) >= 10
    assert len({claim for _, claim in UNDERSTOOD}) >= 40


@pytest.mark.parametrize(("sentence", "claim"), UNDERSTOOD)
def test_sentences_are_understood(sentence: str, claim: str) -> None:
    found = parse(sentence)
    assert found.brief() == claim
    assert parse(found.sentence()) == found


@pytest.mark.parametrize(("sentence", "question"), REFUSED)
def test_what_is_left_open_is_asked(sentence: str, question: str) -> None:
    with pytest.raises(Unclear) as refused:
        parse(sentence)
    assert refused.value.question == question
    assert question.count("?") == 1 or question.endswith(":")
    assert refused.value.code == "CLAIM_UNCLEAR"
    assert "\n" not in str(refused.value)


perturbations = st.one_of(
    st.builds(Perturbation, operation=st.just("gaussian_noise"), amount=st.sampled_from(NOISES)),
    st.builds(Perturbation, operation=st.just("thermal_blur"), amount=st.sampled_from([0.5, 2.0])),
    st.builds(Perturbation, operation=st.just("rotation"), amount=st.floats(0.1, 360.0)),
    st.builds(Perturbation, operation=st.just("translation"), amount=st.integers(1, 1024).map(float)),
    st.builds(Perturbation, operation=st.just("energy_scaling"), amount=st.sampled_from([0.9, 1.1])),
)


@st.composite
def claims(draw: st.DrawFn) -> Claim:
    metric = draw(st.sampled_from(sorted(METRICS)))
    known, versus = METRICS[metric], draw(st.sampled_from([None, *BASELINES]))
    lawful = {
        "any": sorted(DOMAINS),
        "energy": sorted(name for name, spec in DOMAINS.items() if not spec.signed),
        "second law": ["fluid_dynamics"],
    }
    low, high = (-2.0, 2.0) if versus else (max(known.low, -2.0), min(known.high, 2.0))
    return Claim(
        metric=metric,
        comparator=draw(st.sampled_from([">", ">=", "<", "<="])),
        # a difference lies within as well where persistence turns it into a plain threshold
        threshold=draw(st.floats(max(low, -0.9), min(high, 0.9), exclude_min=True, exclude_max=True)),
        domain=draw(st.sampled_from(lawful[known.needs])),
        versus=versus,
        model=draw(
            st.sampled_from(
                [None, *SIZES, *set(BASELINES) - {versus}, "checkpoint:01997a3c-0000-7000-8000-00000000000a"]
            )
        ),
        regime=draw(st.sampled_from([None, *REGIMES])),
        horizon=draw(st.integers(1, 1000)),
        leads=draw(st.sampled_from(["every", "last"])),
        perturbation=draw(st.none() | perturbations),
    )


@settings(max_examples=40, deadline=None)
@given(claim=claims())
def test_every_claim_can_be_said(claim: Claim) -> None:
    assert parse(claim.sentence()) == claim
    assert Claim.from_json(claim.to_json()) == claim


KEYWORDS = sorted(set(re.findall(r'"([a-z%<>=]+)"', GRAMMAR.read_text(encoding="utf-8"))))
words = st.lists(st.sampled_from([*KEYWORDS, "0.5", "plasma", "base", "rough"]), max_size=12).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(text=st.text(max_size=60) | words)
def test_whatever_is_said_is_a_claim_or_a_question(text: str) -> None:
    try:
        found: Claim | Unclear = parse(text)
    except Unclear as refused:
        found = refused
    assert isinstance(found, Claim) or found.question


def test_domains_of_ones_own() -> None:
    assert parse("on my box fidelity is above 0.5", domains=["my_box"]).domain == "my_box"
    with pytest.raises(Unclear, match="Which domain is 'my_box'") as refused:
        parse("on my box fidelity is above 0.5", domains=["my_box_2", "my_box_3"])
    assert refused.value.options == ("my_box_2", "my_box_3")


def test_long_and_empty_sentences_are_refused() -> None:
    with pytest.raises(Unclear, match="What do you claim"):
        parse(" ")
    with pytest.raises(Unclear, match="500 characters"):
        parse("on active_matter " * 100)


def test_nothing_but_a_sentence_needs_lark() -> None:
    modules = "claims, expansion, grammar, power, sequential, shadows, successors, verdicts"
    loaded = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; from resolvers.ace import {modules}; print({{'lark', 'jax'}} & set(sys.modules))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded.stdout.strip() == "set()"
