"""What each experiment may be told: a class of settings for each, whose fields are the options of its command.

Each class says what the experiment asks (its docstring's first line), an example, and which settings `--quick`
replaces: a run of seconds that shows that everything works and whose figures mean little. No JAX, so that the command
line can list them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

from nvp.errors import FieldError


def setting(default: Any, about: str, *, least: int | None = None) -> Any:
    """A field with a default, one line of help, and the least value that makes sense."""
    return field(default=default, metadata={"about": about, "least": least})


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentConfig:
    """What all of them share."""

    quick: ClassVar[Mapping[str, Any]] = {"trials": 8}

    trials: int = setting(100, "Paired rng seeds: every arm meets the same draws.", least=2)
    seed: int = setting(0, "Root of everything random.", least=0)

    def __post_init__(self) -> None:
        for each in fields(self):
            name, least, value = each.name, each.metadata["least"], getattr(self, each.name)
            numbers = value if isinstance(value, tuple) else (value,)
            if not all(math.isfinite(number) for number in numbers):
                raise refused(f"a finite {name}", value)
            if least is not None and min(numbers, default=least) < least:
                raise refused(f"{name} >= {least}", value)


def refused(expected: str, got: object) -> FieldError:
    """The error of a setting that makes no sense."""
    return FieldError("BAD_SETTING", f"expected {expected}, got {got}.", next_step="Leave it out for the default.")


@dataclass(frozen=True, slots=True, kw_only=True)
class LandauConfig(ExperimentConfig):
    """Does a Landau well order below a = 0, as √(−a/2b)?

    Example: fieldgraph coord landau --sweep -1 1 21 --plot landau.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 2}

    trials: int = setting(16, "Random starts, the same for every a.", least=2)
    sweep: tuple[float, float, int] = setting((-1.0, 1.0, 21), "First and last a, and how many.")
    b: float = setting(1.0, "Of aη² + bη⁴; above 0.")
    tolerance: float = setting(1e-3, "How far from √(−a/2b) a relaxed η may be, a = 0 apart.", least=0)
    eta_range: tuple[float, float] = setting((-1.0, 1.0), "η of the drawn wells.")
    points: int = setting(400, "Points of each drawn well.", least=16)

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        if not self.b > 0:
            raise refused("b > 0", self.b)
        if not (self.sweep[0] < self.sweep[1] and self.sweep[2] >= 2):
            raise refused("a sweep from less to more in at least 2 values", self.sweep)
        if not self.eta_range[0] < self.eta_range[1]:
            raise refused("an η range from less to more", self.eta_range)


@dataclass(frozen=True, slots=True, kw_only=True)
class PercolationConfig(ExperimentConfig):
    """Do long shortcuts let a lattice percolate earlier than as many local bonds would?

    Example: fieldgraph coord percolation --trials 200 --plot percolation.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6, "size": 12}

    trials: int = setting(100, "Lattices; each is met by every arm.", least=2)
    size: int = setting(50, "Nodes of one side of the lattice.", least=2)
    share: float = setting(0.02, "Edges added, as a share of the bonds kept.", least=0)
    threshold: float = setting(0.5, "Share of the nodes in the largest component that counts as percolating.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class PercolationGatesConfig(ExperimentConfig):
    """Does the coupling that feeds a gate its benefit lower the threshold of a lattice?

    Example: fieldgraph coord percolation-gates --cost 0.05 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 4, "size": 10}

    trials: int = setting(60, "Lattices; each is met by every arm.", least=2)
    pilots: int = setting(20, "Other lattices, which the expected benefit is measured on.", least=2)
    size: int = setting(32, "Nodes of one side of the lattice.", least=2)
    share: float = setting(0.02, "Shortcuts that an open gate adds, as a share of the bonds kept.", least=0)
    threshold: float = setting(0.5, "Share of the nodes in the largest component that counts as percolating.", least=0)
    weight: float = setting(1.0, "Of the gate's coupling to its benefit.", least=0)
    cost: float = setting(0.05, "What the gate pays.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DilutionConfig(ExperimentConfig):
    """Does what comes later redeem an early dip, or does it only dilute it?

    Example: fieldgraph coord dilution --trials 200 --json
    """

    length: int = setting(64, "Values of a sequence.", least=8)
    position: int = setting(20, "Where the dip is.", least=1)
    depth: float = setting(0.5, "How deep; the sequence rises from 0 to 1.", least=0)
    noise: float = setting(0.01, "Standard deviation of what lies on every value.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class RedemptionConfig(ExperimentConfig):
    """Does a gate that is fed its benefit pick the repairs that help?

    Example: fieldgraph coord redemption --plot redemption.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 8, "length": 24}

    length: int = setting(64, "Values of a sequence.", least=8)
    depth: float = setting(0.4, "Deepest dip; the sequence rises from 0 to 1.", least=0)
    noise: float = setting(0.01, "Standard deviation of what lies on every value.", least=0)
    cost: float = setting(0.05, "What the gate pays.", least=0)
    weight: float = setting(0.9, "Of the gate's coupling to its benefit.", least=0)
    steps: int = setting(100, "Most steps of a relaxation.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatingConfig(ExperimentConfig):
    """Do dear gates open rarely, and do they open for what is worth it?

    Example: fieldgraph coord gating --costs 0 --costs 0.05 --costs 0.2 --tables gates
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 12, "length": 24}

    trials: int = setting(200, "Sequences; each is met at every cost.", least=2)
    costs: tuple[float, ...] = setting((0.0, 0.02, 0.05, 0.1, 0.2), "What a gate pays; may be repeated.", least=0)
    length: int = setting(64, "Values of a sequence.", least=8)
    depth: float = setting(0.5, "Deepest dip; the sequence rises from 0 to 1.", least=0)
    noise: float = setting(0.01, "Standard deviation of what lies on every value.", least=0)
    sharpness: float = setting(10.0, "k of the gate σ(k·net).", least=0)

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        if len(self.costs) < 2 or list(self.costs) != sorted(set(self.costs)):
            raise refused("at least two costs, rising", self.costs)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageGatesConfig(ExperimentConfig):
    """Do stages whose gates learn what opening them brought gain more than stages opened by a threshold?

    Example: fieldgraph coord stage-gates --bias 0.2 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6, "rounds": 3}

    trials: int = setting(100, "Experimenters, each with stages of their own; every arm meets the same.", least=2)
    rounds: int = setting(16, "Experiments that each of them does, one after the other.", least=2)
    bias: float = setting(0.3, "Standard deviation of what a stage is promised beyond what it brings.", least=0)
    noise: float = setting(0.2, "Standard deviation of what one opening brings, about its mean.", least=0)
    budget: float = setting(0.6, "Joules to spend, as a share of what all stages cost; above 0.")
    sharpness: float = setting(10.0, "k of σ(k·net).", least=0)
    prior: float = setting(2.0, "Openings that the promise counts for; above 0.")
    steps: int = setting(100, "Most steps of a relaxation.", least=1)

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        if not (self.budget > 0 and self.prior > 0):
            raise refused("budget and prior > 0", (self.budget, self.prior))


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchingConfig(ExperimentConfig):
    """Is it rare that two lines of growth go on side by side?

    Example: fieldgraph coord branching --cost 0.1 --json
    """

    trials: int = setting(500, "Lines of growth, each with the same draws under every rule.", least=2)
    depth: int = setting(8, "Levels of each.", least=1)
    cost: float = setting(0.1, "What a branch pays.", least=0)
    sharpness: float = setting(8.0, "k of the gate σ(k·net).", least=0)
    gain: float = setting(0.05, "Mean gain of a branch.")
    spread: float = setting(0.1, "Standard deviation of the gains.", least=0)
    rare: float = setting(0.1, "Share of levels with two branches that still counts as rare.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NashConfig(ExperimentConfig):
    """Do two players who learn from what they get end where neither has a regret?

    Example: fieldgraph coord nash --steps 800 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 8}

    steps: int = setting(800, "Steps of the replicator equation.", least=1)
    rate: float = setting(0.05, "Length of a step.", least=0)
    tolerance: float = setting(1e-3, "Regret below which an equilibrium is reached.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig(ExperimentConfig):
    """Do couplings along a chain let evidence travel?

    Example: fieldgraph coord chain --weight 2 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6}

    count: int = setting(16, "Modules of a chain.", least=3)
    weight: float = setting(2.0, "Of each quadratic coupling.", least=0)
    noise: float = setting(0.2, "Standard deviation of each module's own evidence.", least=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapsConfig(ExperimentConfig):
    """Does a ring of gates collapse to its local states where couplings are weak and gates dear?

    Example: fieldgraph coord maps --plot maps.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 2, "couplings": (0.25, 1.0), "costs": (0.0, 0.3)}

    trials: int = setting(16, "Rings; each is relaxed at every place of the grid.", least=2)
    couplings: tuple[float, ...] = setting(
        (0.0625, 0.125, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0), "Weights of the couplings; may be repeated.", least=0
    )
    costs: tuple[float, ...] = setting(
        (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5), "What gates pay; may be repeated.", least=0
    )
    count: int = setting(8, "Gates of a ring.", least=3)

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        for name in ("couplings", "costs"):
            values = getattr(self, name)
            if len(values) < 2 or list(values) != sorted(set(values)):
                raise refused(f"at least two {name}, rising", values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedGatesConfig(ExperimentConfig):
    """Is a gate that starts closed stuck there?

    Example: fieldgraph coord closed-gates --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6}


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptersConfig(ExperimentConfig):
    """Does adapting the weights of the terms find states of less energy, judged by weights of 1?

    Example: fieldgraph coord adapters --scenarios 2 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 4, "steps": 8, "updates": 20, "repeats": 1, "scenarios": 1}

    trials: int = setting(40, "Random starts and configured weights, the same for every arm.", least=2)
    steps: int = setting(40, "Most steps of a relaxation.", least=1)
    spread: float = setting(3.0, "Configured weights lie between 1/spread and spread.", least=1)
    count: int = setting(16, "Modules of the larger graphs.", least=3)
    scenarios: int = setting(3, "How many of baseline, rugged and dense.", least=1)
    updates: int = setting(200, "Of the policy that is taught alone.", least=20)
    repeats: int = setting(3, "Timed runs after the one that compiles; their median counts.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyWarsConfig(ExperimentConfig):
    """Does bringing down a term that shouts the others down find states of less energy?

    Example: fieldgraph coord energy-wars --factor 300 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6, "steps": 20}

    trials: int = setting(60, "Random starts, each with one term that is too strong.", least=2)
    factor: float = setting(100.0, "How much too strong.", least=1)
    steps: int = setting(60, "Most steps of a relaxation.", least=1)
    count: int = setting(16, "Modules of the graph.", least=3)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReactivityConfig(ExperimentConfig):
    """How fast and how strongly do gates answer when their benefit jumps?

    Example: fieldgraph coord reactivity --steps 60 --plot reactivity.png
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 4}

    trials: int = setting(48, "Gates; each is met by every lever.", least=2)
    steps: int = setting(60, "Most steps of a relaxation.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionConfig(ExperimentConfig):
    """Does a penalty on uneven attention help what it learns?

    Example: fieldgraph coord attention --strengths 0 --strengths 0.1 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 2, "steps": 5}

    trials: int = setting(12, "Networks; each is trained with every strength.", least=2)
    strengths: tuple[float, ...] = setting((0.0, 0.05, 0.1, 1.0), "λ, from 0 to 1; may be repeated.", least=0)
    steps: int = setting(200, "Steps of Adam.", least=1)

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        if len(self.strengths) < 2 or list(self.strengths) != sorted(set(self.strengths)) or self.strengths[-1] > 1:
            raise refused("at least two strengths, rising, up to 1", self.strengths)


@dataclass(frozen=True, slots=True, kw_only=True)
class BasesConfig(ExperimentConfig):
    """Does an orthogonal basis make a polynomial relax or fit better?

    Example: fieldgraph coord bases --degree 8 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 4, "samples": 40}

    trials: int = setting(64, "Functions; each is written in every basis.", least=2)
    degree: int = setting(4, "Of the polynomials.", least=3)
    samples: int = setting(200, "Values that coefficients are fitted to.", least=20)
    noise: float = setting(0.1, "Standard deviation of what lies on each.", least=0)
    steps: int = setting(15, "Most steps of a relaxation.", least=1)
    fit_steps: int = setting(200, "Steps of descent on the coefficients.", least=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EscapeConfig(ExperimentConfig):
    """Does noise along the level set leave shallow minima more often than other noise?

    Example: fieldgraph coord escape --noise 0.2 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 4, "steps": 20}

    trials: int = setting(200, "Rugged graphs, each with a start of its own.", least=2)
    count: int = setting(8, "Modules of a graph.", least=2)
    steps: int = setting(200, "Evaluations of F and its gradient, the same for every arm.", least=1)
    noise: float = setting(0.3, "Length of the first noise in η; it decays by 1 % per step.", least=0)
    temperature: float = setting(0.1, "T of the Langevin walk's e^(−F/T); above 0.")
    langevin_step: float = setting(0.1, "Of the Langevin walk, in logits; above 0.")

    def __post_init__(self) -> None:
        ExperimentConfig.__post_init__(self)
        if not (self.temperature > 0 and self.langevin_step > 0):
            raise refused("temperature and langevin_step > 0", (self.temperature, self.langevin_step))


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvatureConfig(ExperimentConfig):
    """How much longer might fixed steps be than a bound on the curvature of the whole box lets them?

    Example: fieldgraph coord curvature --trials 200 --json
    """

    quick: ClassVar[Mapping[str, Any]] = {"trials": 6, "states": 20}

    trials: int = setting(100, "Random graphs of each kind.", least=2)
    count: int = setting(8, "Modules of a graph.", least=2)
    states: int = setting(100, "States of each graph.", least=2)
