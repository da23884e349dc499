"""`fieldgraph ace`: hypotheses in plain sentences, what testing them takes, and what the numbers say of them.

`run` and `show`, which need a graph, are `resolvers.cli.ace_runs`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from nvp.errors import FieldError
from resolvers.cli import ace_runs
from resolvers.cli.output import JsonOption, console, emit, fail

if TYPE_CHECKING:
    import numpy as np

    from resolvers.ace.claims import Claim
    from resolvers.ace.expansion import Plan
    from resolvers.ace.grammar import Unclear
    from resolvers.ace.verdicts import Sample

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

SentenceArgument = Annotated[str, typer.Argument(metavar="SENTENCE", help="A claim in plain words.")]
AlphaOption = Annotated[float, typer.Option(help="Probability that any sub-hypothesis is supported wrongly.")]
SequencesOption = Annotated[int, typer.Option(min=1, max=1000, help="Sequences after which it is given up.")]


@app.callback()
def _group() -> None:
    """Say hypotheses in plain sentences, test them by experiment, or judge them by numbers of your own.

    Example: fieldgraph ace run "on fluid_dynamics the tiny model keeps fidelity above 0.3" --budget 5kJ
    """


app.command("run")(ace_runs.run_)
app.command("show")(ace_runs.show)


@app.command()
def parse(sentence: SentenceArgument, translate: ace_runs.TranslateOption = False, as_json: JsonOption = False) -> None:
    """Read a sentence as a claim; where it leaves something open, ask one question and exit with 2.

    Example: fieldgraph ace parse "on active_matter the base model keeps fidelity above 0.9 under 1 % noise" --json
    """
    if translate:
        from resolvers.cli.translating import proposed, shown

        if (proposal := proposed(sentence, as_json=as_json)) is not None:
            emit({"parsed": True, "translated": True, **proposal.to_json()}, as_json=as_json, text=shown(proposal))
            return
    claim = claim_or_question(sentence, as_json=as_json)
    emit(
        {"parsed": True, "claim": claim.to_json(), "sentence": claim.sentence(), "key": claim.key()},
        as_json=as_json,
        text=f"{claim.brief()}\n{claim.sentence()}",
    )


@app.command()
def plan(
    sentence: SentenceArgument,
    alpha: AlphaOption = 0.05,
    sequences: SequencesOption = 40,
    power: Annotated[float, typer.Option(help="Probability with which what is true is to be supported.")] = 0.8,
    expect: Annotated[float | None, typer.Option(help="Value that you foresee, as a mean over sequences.")] = None,
    spread: Annotated[float | None, typer.Option(help="Its standard deviation over sequences.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Take a claim apart into sub-hypotheses with their nulls, and say how many sequences testing it takes.

    Example: fieldgraph ace plan "on plasma the tiny model keeps fidelity above 0.4" --expect 0.5 --spread 0.08 --json
    """
    claim = claim_or_question(sentence, as_json=as_json)
    made = _plan(claim, alpha=alpha, sequences=sequences, power=power, expect=expect, spread=spread)
    emit(made.to_json(), as_json=as_json, text=_planned(made))


@app.command()
def judge(
    sentence: SentenceArgument,
    scores: Annotated[
        Path, typer.Option("--scores", help="A .csv file: a row for each sequence, a column for each sub-hypothesis.")
    ],
    alpha: AlphaOption = 0.05,
    sequences: SequencesOption = 40,
    prior: Annotated[float, typer.Option(help="Credence before, 0 … 1.")] = 0.5,
    headline: Annotated[
        list[str] | None,
        typer.Option(help="Pooled value of a sub-hypothesis, NAME=VALUE; it has to say the same. May be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge a claim by scores that you measured; rows are looked at in their order until the stopping rule says stop.

    The columns are `sequence` and the names that `fieldgraph ace plan` lists ("lead 1", "beats ridge"); an empty cell
    is a sequence that cannot be scored. Exit code 1 where the claim is refuted.

    Example: fieldgraph ace judge "on plasma the tiny model keeps fidelity above 0.4" --scores scores.csv --json
    """
    claim = claim_or_question(sentence, as_json=as_json)
    from resolvers.ace import successors, verdicts

    made = _plan(claim, alpha=alpha, sequences=sequences)
    try:
        names = [part.name for part in made.parts]
        verdict = verdicts.judge(made, _samples(scores, names), prior=prior, headline=_headline(headline or [], names))
    except FieldError as error:
        fail(error)
    asked = [one.sentence() for one in successors.successors(claim, verdict)]
    result = {"claim": claim.to_json(), **verdict.to_json(), "next": asked}
    emit(result, as_json=as_json, text="\n".join([verdict.text(), *(f"next: {one}" for one in asked)]))
    if verdict.verdict == "refuted":
        raise typer.Exit(1)


@app.command()
def vote(
    members: Annotated[list[Path], typer.Argument(help="Predictions of one state as .npy, a file for each member.")],
    origin: Annotated[Path, typer.Option(help="The state of time t that they start from, as .npy.")],
    total: Annotated[
        float | None, typer.Option(help="What the energy must add up to. Default: nothing is barred or projected.")
    ] = None,
    tau: Annotated[float, typer.Option(help="Distance, relative to the change, below which two agree.")] = 0.5,
    signed: Annotated[bool, typer.Option("--signed", help="The field may be negative.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write what they agree on (.npy).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Let the members of an ensemble vote on a prediction; exit code 1 where no quorum agrees.

    Example: fieldgraph ace vote a.npy b.npy c.npy --origin now.npy --total 4096 --out agreed.npy --json
    """
    import numpy as np

    from resolvers.ace.shadows import ConsensusFailure, consensus

    try:
        before = _field(origin)
        fields = [_field(path) for path in members]
        if odd := next((path for path, one in zip(members, fields, strict=True) if one.shape != before.shape), None):
            raise FieldError(
                "BAD_SHAPE",
                f"expected fields of shape {before.shape}, got another in {odd.name}.",
                next_step="Vote on one state.",
            )
        agreed = consensus(np.stack(fields), before, total=total, tau=tau, signed=signed)
    except ConsensusFailure as failure:
        emit({"consensus": False, **failure.to_json()}, as_json=as_json, text=str(failure))
        raise typer.Exit(1) from None
    except FieldError as error:
        fail(error)
    if out is not None:
        np.save(out, agreed.field)
    emit({"consensus": True, **agreed.to_json(), "diameter": agreed.diameter}, as_json=as_json)


def claim_or_question(sentence: str, *, as_json: bool) -> Claim:
    """The claim, or the question on stdout or stderr and exit code 2."""
    from resolvers.ace.grammar import Unclear, parse

    try:
        return parse(sentence)
    except Unclear as unclear:
        ask_back(unclear, sentence, as_json=as_json)


def ask_back(unclear: Unclear, sentence: str, *, as_json: bool) -> NoReturn:
    """The question on stdout or stderr, and exit code 2."""
    if as_json:
        question = {"parsed": False, "question": unclear.question, "options": unclear.options}
        emit({**question, "sentence": sentence}, as_json=True)
    else:
        console.print(unclear.question, soft_wrap=True, markup=False)
        for option in unclear.options:
            console.print(f"  {option}", soft_wrap=True, markup=False)
    raise typer.Exit(unclear.exit_code) from None


def _plan(
    claim: Claim,
    *,
    alpha: float,
    sequences: int,
    power: float = 0.8,
    expect: float | None = None,
    spread: float | None = None,
) -> Plan:
    from resolvers.ace import expansion

    try:
        if (expect is None) != (spread is None):
            raise FieldError(
                "BAD_CONFIG",
                "expected a value with its spread, got one of them.",
                next_step="Give --expect and --spread.",
            )
        foreseen = None if expect is None or spread is None else (expect, spread)
        return expansion.plan(claim, alpha=alpha, sequences=sequences, goal=power, expect=foreseen)
    except FieldError as error:
        fail(error)


def _planned(made: Plan) -> str:
    """Questions, nulls, and a table of what they take."""
    lines = [made.claim.sentence()]
    for part in made.parts:
        lines += [f"{part.role:10} {part.name:26} {part.claim.sentence()}", f"{'':10} null: {part.null}"]
    bound = made.family().bound
    lines.append(f"decided by evidence of {bound:g} ({made.fewest} sequences at the fewest), at most {made.sequences}:")
    lines.append("  share on its side   supported   looked at   for a power of " + f"{made.goal:g}")
    for one in (*made.powers, *((made.expected,) if made.expected else ())):
        needed = "more than 1000" if one.needed is None else one.needed
        said = "  expected" if one is made.expected else ""
        lines.append(f"  {one.share:17.3f}   {one.power:9.3f}   {one.expected_sequences:9.1f}   {needed}{said}")
    return "\n".join([*lines, *(f"but {one}" for one in made.caveats)])


def _samples(path: Path, names: list[str]) -> Iterator[Sample]:
    """Rows of the table, as they are asked for."""
    from resolvers.ace.verdicts import Sample

    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            wanted = ["sequence", *names]
            if missing := [name for name in wanted if name not in (rows.fieldnames or [])]:
                raise FieldError(
                    "BAD_SCORES",
                    f"expected columns {', '.join(wanted)}, got none called {', '.join(missing)}.",
                    next_step="`fieldgraph ace plan` lists the sub-hypotheses.",
                )
            for row in rows:
                yield Sample(uid=row["sequence"], values={name: _number(row[name], name) for name in names})
    except (OSError, UnicodeDecodeError) as error:
        raise FieldError("BAD_SCORES", f"expected a .csv file, got {error}.", next_step="Correct its name.") from None


def _headline(said: list[str], names: list[str]) -> Mapping[str, float]:
    found = {}
    for one in said:
        name, _, value = one.partition("=")
        if name not in names:
            raise FieldError(
                "BAD_HEADLINE",
                f"expected NAME=VALUE with a name out of {', '.join(names)}, got {one!r}.",
                next_step="Correct the name.",
            )
        found[name] = _number(value, name)
    return found


def _number(text: str | None, name: str) -> float:
    """NaN for an empty cell."""
    try:
        return float(text) if text and text.strip() else math.nan
    except ValueError:
        raise FieldError(
            "BAD_SCORES",
            f"expected a number for {name}, got {text!r}.",
            next_step="Leave it empty where there is none.",
        ) from None


def _field(path: Path) -> np.ndarray[Any, Any]:
    """(H, W, C) in float64."""
    import numpy as np

    try:
        read = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise FieldError("BAD_FIELD", f"expected a .npy file, got {error}.", next_step="Correct its name.") from None
    if read.ndim not in (2, 3) or read.dtype.kind not in "fiu":
        raise FieldError(
            "BAD_FIELD",
            f"expected numbers of axes (H, W) or (H, W, C), got {read.ndim} axes of {read.dtype} in {path.name}.",
            next_step="Save one state in each file.",
        )
    field: np.ndarray[Any, Any] = np.atleast_3d(read).astype(np.float64)
    return field
