"""What a language model takes a sentence to claim, shown to whoever said it and confirmed before it is tested."""

from __future__ import annotations

import sys

import typer

from graph.errors import GraphError
from graph.settings import Settings
from nvp.errors import FieldError
from resolvers.ace.grammar import Unclear, parse
from resolvers.ace.translation import Proposal, translate
from resolvers.cli.output import console, emit, fail


def proposed(sentence: str, *, as_json: bool) -> Proposal | None:
    """What the language model makes of a sentence; None where the grammar understands it and nobody has to be asked.

    A question is asked, and exits with 2.
    """
    from resolvers.cli.ace import ask_back

    try:
        parse(sentence)
    except Unclear:
        pass
    else:
        return None
    settings = Settings()
    try:
        return translate(sentence, model=settings.llm_model, timeout=settings.llm_timeout)
    except Unclear as unclear:
        ask_back(unclear, sentence, as_json=as_json)
    except (GraphError, FieldError) as error:
        fail(error)


def confirm(proposal: Proposal, *, yes: bool, as_json: bool) -> None:
    """Go on only where whoever asked says that this is meant; a script says so by --yes."""
    console.print(shown(proposal), soft_wrap=True, markup=False)
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        emit({"confirmed": False, "proposal": proposal.to_json()}, as_json=as_json, text="not confirmed: add --yes")
        raise typer.Exit(2)
    if not typer.confirm("Is this what you mean?", err=True):
        raise typer.Exit(2)


def shown(proposal: Proposal) -> str:
    """Lines for people."""
    lines = [f"{proposal.by} takes it to claim: {proposal.sentence}", proposal.claim.brief()]
    return "\n".join([*lines, *(f"but you did not say: {one}" for one in proposal.assumed)])
