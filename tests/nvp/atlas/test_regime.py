"""Regimes: what the numbers behind them mean, and that descriptors of the past tell regimes of the future."""

import numpy as np
import pytest

from nvp.atlas.regime import REGIMES, agreement, bandwidth, classify
from nvp.atlas.statistics import frame_statistics


def test_bandwidth_of_known_spectra() -> None:
    k = np.arange(1, 33)
    one = (k == 7).astype(float)
    two = ((k == 2) | (k == 8)).astype(float)
    flat_in_log = 1.0 / k
    found = bandwidth(np.stack([one, two, flat_in_log, np.zeros(32), 1e-30 * two]))
    assert found[0] == pytest.approx(0.0, abs=1e-12)
    assert found[1] == pytest.approx(np.log(2))
    weight = flat_in_log / flat_in_log.sum()
    assert found[2] == pytest.approx(np.sqrt(np.cov(np.log(k), aweights=weight, ddof=0)))
    assert found[3] == 0.0
    assert found[4] == pytest.approx(found[1])


@pytest.mark.parametrize("regime", REGIMES)
def test_the_first_rule_that_holds_decides(regime: str) -> None:
    """Every regime can be reached, and the rules before it win."""
    order = {
        "uniform": {"relative_spread": 1e-7},
        "localised": {"kurtosis": 3.1},
        "rough": {"gradient_scale": 1.4},
        "smooth": {"gradient_scale": 5.4},
        "patterned": {"bandwidth": 0.49},
        "structured": {},
    }
    base = {"relative_spread": 0.1, "kurtosis": 0.0, "gradient_scale": 3.0, "bandwidth": 0.7}
    later = [name for name in REGIMES[REGIMES.index(regime) + 1 :] if name not in ("rough", "smooth")]
    values = base | {key: value for name in later for key, value in order[name].items()} | order[regime]
    found = classify(**{name: np.array([value]) for name, value in values.items()}, side=64)
    assert found.tolist() == [regime]


def drifting(kind: int, frames: int, seed: int) -> np.ndarray:
    """A field that moves and changes slowly: bumps, one wave length, many, or long waves."""
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(32), np.arange(32), indexing="ij")
    made = []
    for t in range(frames):
        shift = 2 * np.pi * (x + 0.7 * t) / 32
        field = [
            8 * np.exp(-((x - 16 - 0.2 * t) ** 2 + (y - 16) ** 2) / 12),
            np.cos(2 * shift) * np.cos(2 * np.pi * 2 * y / 32),
            2 * np.cos(shift) + np.cos(2 * shift + 1) * np.cos(2 * np.pi * y / 32) + np.cos(2 * np.pi * 4 * y / 32),
            np.cos(shift) + 0.2 * np.cos(2 * np.pi * y / 32),
        ][kind]
        made.append(10 + field + 0.03 * rng.standard_normal((32, 32)))
    return np.stack(made)[..., None].astype(np.float32)


def test_descriptors_of_first_halves_tell_the_regimes_of_second_halves() -> None:
    found = [frame_statistics(drifting(kind, 30, seed), signed=True) for kind in range(4) for seed in range(2)]
    result = agreement([(one.descriptor, one.regime) for one in found])
    assert set(result.counts) == {"localised", "patterned", "structured", "smooth"}
    assert sum(result.counts.values()) == 240
    assert result.n == 120
    assert result.majority < 0.5
    assert result.agreement >= 0.95


def test_regimes_that_descriptors_do_not_know_agree_no_better_than_chance() -> None:
    """The figure can fail: shuffled labels bring it down to the majority's."""
    rng = np.random.default_rng(0)
    found = [frame_statistics(drifting(kind, 60, 0), signed=True).descriptor for kind in range(4)]
    said = [rng.permutation(np.repeat(["a", "b", "c"], 20)) for _ in found]
    result = agreement(list(zip(found, said, strict=True)))
    assert result.agreement < 0.55


def test_what_only_the_own_sequence_knows_counts_as_agreement_but_not_apart() -> None:
    """Frames of one sequence resemble each other: a vote among them could be a matter of course."""
    axes = np.eye(4, dtype=np.float32)
    found = [(np.tile(axis, (20, 1)), np.full(20, name)) for axis, name in zip(axes, "abcd", strict=True)]
    result = agreement(found)
    assert result.agreement == 1
    assert result.apart == 0
    assert agreement(found[:1]).apart is None
