"""Two players who shift their choices towards what pays: the replicator equation p ← p + lr·p(1 − p)(u₁ − u₀).

In the prisoner's dilemma both end with defection, its only equilibrium. The column player's payoffs are read from the
*transposed* game; read from the same rows as the row player's, cooperation pays for the column player and the pair ends
where it regrets: that arm is the trap. Random games say how far the claim carries: where the players' interests are
drawn apart, some games have no equilibrium without mixing, and the choices go round for ever.

Taylor & Jonker, "Evolutionarily stable strategies and game dynamics", Mathematical Biosciences 40 (1978).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from nvp.coordinator.experiments.config import NashConfig
from nvp.coordinator.experiments.finding import Check, Effect, Finding, Report, mean_effect, share_effect, verdict
from nvp.coordinator.measures import PRISONERS_DILEMMA

HYPOTHESIS = "Both players come to defect, and neither regrets it."
PerStart = Float[np.ndarray, "s"]
Games = Float[np.ndarray, "s 2 2"]
"""A payoff matrix for each start: one's own action, then the other's."""


def run(config: NashConfig, progress: Report) -> Finding:
    """The dilemma from random starts, the misread one, and random games."""
    rng = np.random.default_rng(config.seed)
    p, q = rng.uniform(0.01, 0.99, (2, config.trials))
    dilemma: Games = np.broadcast_to(np.array(PRISONERS_DILEMMA), (config.trials, 2, 2))
    drawn = rng.random((2, config.trials, 2, 2))
    arms: dict[str, tuple[Games, Games]] = {
        "prisoner's dilemma": (dilemma, dilemma),
        "its payoffs misread for the column player": (dilemma, dilemma.transpose(0, 2, 1)),
        "random games, the same for both players": (drawn[0], drawn[0]),
        "random games, another for each player": (drawn[0], drawn[1]),
    }
    found: dict[str, list[Effect]] = {}
    ends = {}
    for number, (name, (row, column)) in enumerate(arms.items()):
        one, other = learn(p, q, row, column, steps=config.steps, rate=config.rate)
        # the misread player's regret is of the game that is really played
        true = dilemma if number == 1 else column
        worst = np.maximum(regrets(one, other, row), regrets(other, one, true))
        ends[name] = one, other, worst
        found[name] = [
            mean_effect("probability of defection, row player", one, seed=config.seed),
            mean_effect("probability of defection, column player", other, seed=config.seed),
            mean_effect("larger regret", worst, seed=config.seed),
            share_effect(f"both regret less than {config.tolerance:g}", worst < config.tolerance),
        ]
        progress("games", (number + 1) / len(arms), name)
    one, other, worst = ends["prisoner's dilemma"]
    least = np.minimum(one, other)
    within = mean_effect("tolerance − larger regret", config.tolerance - worst, seed=config.seed)
    trapped = ends["its payoffs misread for the column player"][2]
    return Finding(
        hypothesis=HYPOTHESIS,
        verdict=verdict(within),
        reading="It holds for the dilemma; of random games only for those where no mixing is needed.",
        effects=[
            within,
            mean_effect("regret when misread − regret", trapped - worst, seed=config.seed),
        ],
        arms=found,
        checks=[
            Check(
                name="least probability of defection",
                value=float(least.min()),
                bound="> 0.999",
                met=bool(least.min() > 0.999),
            ),
            Check(
                name="largest regret",
                value=float(worst.max()),
                bound=f"< {config.tolerance:g}",
                met=bool(worst.max() < config.tolerance),
            ),
        ],
    )


def learn(p: PerStart, q: PerStart, row: Games, column: Games, *, steps: int, rate: float) -> tuple[PerStart, PerStart]:
    """Probability of action 1 of both players after so many steps; each game is that of its own player."""
    for _ in range(steps):
        gain_row, gain_column = _gain(q, row), _gain(p, column)
        p = np.clip(p + rate * p * (1 - p) * gain_row, 0, 1)
        q = np.clip(q + rate * q * (1 - q) * gain_column, 0, 1)
    return p, q


def regrets(own: PerStart, other: PerStart, games: Games) -> PerStart:
    """What the best answer would gain."""
    answers = _answers(other, games)
    mixed: PerStart = answers.max(axis=1) - (1 - own) * answers[:, 0] - own * answers[:, 1]
    return mixed


def _answers(other: PerStart, games: Games) -> Float[np.ndarray, "s 2"]:
    found: Float[np.ndarray, "s 2"] = games[:, :, 0] * (1 - other)[:, None] + games[:, :, 1] * other[:, None]
    return found


def _gain(other: PerStart, games: Games) -> PerStart:
    answers = _answers(other, games)
    gain: PerStart = answers[:, 1] - answers[:, 0]
    return gain
