"""The decorator holds functions to the laws, however they are called; each trap of its first form is a row here.

`naive` is that first form: it takes args[0] for E_t, sums whatever comes back, compares by `>` and takes the entropy of
what is not normalised. Every row that it gets wrong is a mutant of ours that this table would catch.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify

from nvp.errors import FieldError
from nvp.thermo.compile import ThermodynamicWarning, checked, thermo_compile
from nvp.thermo.violations import ENTROPY_TOLERANCE, ThermodynamicViolation, Violation

SIDE = 8
FLAT = np.ones((SIDE, SIDE))
RAMP = np.arange(1.0, 1 + SIDE * SIDE).reshape(SIDE, SIDE)


def naive(energy_budget: float = 1.0, entropy_max: float = 10.0, **_: Any) -> Any:
    """The decorator as it was first written down."""

    def decorate(function: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            before = args[0]
            result = function(*args, **kwargs)
            if abs(np.sum(result) - np.sum(before)) / np.sum(before) > energy_budget:
                raise ThermodynamicViolation("energy", 0.0, energy_budget)
            if -np.sum(result * np.log(result + 1e-10)) > entropy_max:
                raise ThermodynamicViolation("entropy bound", 0.0, entropy_max)
            return result

        return wrapper

    return decorate


class Spread(NamedTuple):
    mean: Any
    log_var: Any


@dataclass
class Model:
    gain: float

    def build(self, decorate: Any) -> Any:
        """A method that predicts, decorated in its class."""

        class Own:
            gain = self.gain

            @decorate
            def step(self, energy: Any) -> Any:
                return self.gain * energy

        return Own().step


Call = Callable[[Any], Any]
LITERAL: dict[str, Any] = {"energy_budget": 0.5, "entropy_max": 8.0}
NATS = 8.0


def apply(function: Any, *args: Any, **kwargs: Any) -> Call:
    """A call of the decorated function."""
    return lambda decorate: decorate(function)(*args, **kwargs)


def gain(energy: Any, by: float) -> Any:
    return by * energy


# what is called, how it is decorated, which law it breaks (None: it is accepted)
ROWS: dict[str, tuple[Call, dict[str, Any], str | None]] = {
    "keyword call": (apply(gain, energy=FLAT, by=1.2), LITERAL, None),
    "keyword call that gains": (apply(gain, by=1.6, energy=FLAT), LITERAL, "energy"),
    "method": (lambda decorate: Model(1.2).build(decorate)(FLAT), LITERAL, None),
    "method that gains": (lambda decorate: Model(1.6).build(decorate)(FLAT), LITERAL, "energy"),
    "state that is not the first": (
        lambda decorate: decorate(lambda dt, energy: energy * dt)(1.2, FLAT),
        LITERAL | {"state": "energy"},
        None,
    ),
    "state by default": (apply(lambda energy=FLAT, by=1.6: by * energy), LITERAL, "energy"),
    "tuple": (apply(lambda e: (1.2 * e, -9 + 0 * e), FLAT), LITERAL, None),
    "tuple that gains": (apply(lambda e: (1.6 * e, -0.6 * e), FLAT), LITERAL, "energy"),
    "named tuple": (apply(lambda e: Spread(1.2 * e, -9 + 0 * e), FLAT), LITERAL, None),
    "named tuple by name": (apply(lambda e: Spread(-e, 1.2 * e), FLAT), LITERAL | {"output": "log_var"}, None),
    "output by index": (apply(lambda e: (-e, 1.2 * e), FLAT), LITERAL | {"output": 1}, None),
    "output by function": (apply(lambda e: {"a": [1.2 * e]}, FLAT), LITERAL | {"output": lambda r: r["a"][0]}, None),
    "NaN": (apply(gain, FLAT, by=float("nan")), LITERAL, "not finite"),
    "NaN in": (apply(lambda e: np.ones_like(e), FLAT * float("nan")), LITERAL, "not finite"),
    "infinite": (apply(gain, FLAT, by=float("inf")), LITERAL, "not finite"),
    "negative cell of the right total": (
        apply(lambda e: np.where(np.arange(SIDE * SIDE).reshape(e.shape) < 2, [[-0.5, 2.5] * 4] * SIDE, e), FLAT),
        LITERAL,
        "negative",
    ),
    "negative total": (apply(gain, -FLAT, by=9.0), LITERAL, "negative"),
    "nothing stays nothing": (apply(gain, 0 * FLAT, by=1.0), LITERAL, None),
    "something of nothing": (apply(lambda e: e + 1e-9, 0 * FLAT), LITERAL | {"energy_budget": 1e9}, "energy"),
    "near-uniform 256²": (
        apply(lambda e: 1.001 * e, np.random.default_rng(0).uniform(0.99, 1.01, (256, 256)) / 65536),
        {"energy_budget": 0.5},
        None,
    ),
    "near-uniform 64² within a share": (
        apply(lambda e: e, np.ones((64, 64)) / 4096),
        {"energy_budget": 0.5, "entropy_max_share": 1.0, "entropy_max": None},
        None,
    ),
    "concentrated 256² of large cells": (
        apply(lambda e: e, np.pad(np.full((2, 2), 0.01), 127)),
        {"energy_budget": 0.5, "entropy_max": np.log(3.0)},
        "entropy bound",
    ),
    "entropy in nats, whatever the unit": (
        apply(lambda e: e, np.full((64, 64), 1e3)), {"energy_budget": 0.5, "entropy_max": NATS}, "entropy bound"
    ),
    "entropy drop": (
        apply(lambda e: np.eye(SIDE) * e.sum() / SIDE, FLAT), LITERAL | {"min_entropy_change": -ENTROPY_TOLERANCE},
        "entropy",
    ),
    "energy doubles by default": (apply(gain, FLAT, by=2.0), {}, "energy"),
    "energy vanishes by default": (apply(gain, FLAT, by=0.0), {}, "energy"),
    "gain by a source": (apply(lambda e, q: e + q, FLAT, 2.0), {"heat": lambda a: a["q"] * FLAT}, None),
    "gain by a source that is an argument": (
        lambda decorate: decorate(lambda e, q: e + q)(FLAT, 2.0 * FLAT), {"heat": "q"}, None
    ),
    "loss through an edge": (apply(lambda e: 0.2 * e, FLAT), {"outflow": lambda result: 51.2}, None),
    "one of a batch": (
        apply(lambda e: e * np.array([1, 1.6, 1])[:, None, None, None], np.ones((3, SIDE, SIDE, 1))), LITERAL, "energy"
    ),
    "batch of batches whose total is right": (
        apply(lambda e: e * np.array([0.4, 1.6])[:, None, None, None, None], np.ones((2, 3, SIDE, SIDE, 1))),
        LITERAL, "energy",
    ),
    "compiled": (lambda decorate: checked(decorate(gain))(jnp.asarray(FLAT), 1.2), LITERAL, None),
    "compiled and gains": (lambda decorate: checked(decorate(gain))(jnp.asarray(FLAT), 1.6), LITERAL, "energy"),
    "compiled NaN": (
        lambda decorate: checked(decorate(gain))(jnp.asarray(FLAT), float("nan")), LITERAL, "not finite"
    ),
    "compiled entropy drop": (
        lambda decorate: checked(decorate(lambda e: jnp.eye(SIDE) * e.sum() / SIDE))(jnp.asarray(FLAT)),
        LITERAL | {"min_entropy_change": -ENTROPY_TOLERANCE}, "entropy",
    ),
}  # fmt: skip


def outcome(call: Call, decorate: Any) -> str | None:
    """The law that was broken, None where it was accepted, or the name of another exception."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            call(decorate)
    except ThermodynamicViolation as error:
        return error.kind
    except Exception as error:
        return type(error).__name__
    return None


@pytest.mark.parametrize("name", ROWS)
def test_each_trap_is_none_here(name: str) -> None:
    call, options, expected = ROWS[name]
    assert outcome(call, thermo_compile(**options)) == expected


def test_the_table_has_teeth() -> None:
    """The first form is wrong in every row: it knows nats only, and 8 of them refuse what is uniform at 64²."""
    right = {
        name
        for name, (call, options, expected) in ROWS.items()
        if outcome(call, naive(**{key: NATS if value is None else value for key, value in options.items()})) == expected
    }
    assert right == set()


def test_the_literal_call_works() -> None:
    @thermo_compile(energy_budget=0.5, entropy_max=8.0)
    def step(energy: np.ndarray) -> np.ndarray:
        """Doc."""
        return energy / energy.sum()

    share = RAMP / RAMP.sum()
    result = step(share)
    np.testing.assert_array_equal(result, share / share.sum())
    assert (step.__name__, step.__doc__) == ("step", "Doc.")
    assert step.thermo.limits.max_energy_drift == 0.5
    assert step.thermo.limits.max_entropy == 8.0
    assert step.__wrapped__(2 * share) is not None
    with pytest.raises(ThermodynamicViolation, match=r"at most 0\.5 of it .* got 0\.75") as caught:
        step(4 * share)
    error = caught.value
    assert (error.kind, error.value, error.limit) == ("energy", pytest.approx(0.75), 0.5)
    assert error.where.endswith("step")


def test_the_result_comes_back_as_it_was() -> None:
    made = Spread(jnp.asarray(FLAT), object())
    assert thermo_compile(lambda e: made)(FLAT) is made


def test_warn_and_record_let_the_result_through() -> None:
    with pytest.warns(ThermodynamicWarning, match="at most 1e-05 of it"):
        assert thermo_compile(mode="warn")(gain)(FLAT, 2.0).sum() == 2 * FLAT.sum()
    recorded: list[Violation] = []
    told = thermo_compile(mode="record", record=recorded.append)(gain)
    kept = thermo_compile(mode="record")(gain)
    for function in (told, kept):
        function(np.ones((2, SIDE, SIDE, 1)), 2.0)
        function(FLAT, 1.0)
    assert [violation.where for violation in recorded] == ["gain[0]", "gain[1]"]
    assert list(kept.violations) == recorded
    assert list(told.violations) == []


def test_both_numpy_and_jax_arrays_are_measured_in_float64() -> None:
    """An account of 1e8 in and out closes to a half, which float32 cannot tell."""
    start = np.ones((64, 64), np.float32)
    after = start.copy()
    after[0, 0] += 0.5
    for outflow, expected in ((1e8, None), (1e8 - 1, "energy")):
        decorate = thermo_compile(max_energy_drift=1e-9, heat=1e8 + 0.5, outflow=lambda _, left=outflow: left)
        for cast in (np.asarray, jnp.asarray):
            assert outcome(apply(lambda e, f: f, cast(start), cast(after)), decorate) == expected


def test_the_checks_travel_through_transformations() -> None:
    step = thermo_compile(gain)

    def rollout(energy: Any, by: Any) -> Any:
        return jax.lax.scan(lambda e, k: (step(e, k), e.sum()), energy, by)[0]

    good, bad = jnp.ones(4), jnp.array([1.0, 1.0, 1.5, 1.0])
    assert checked(rollout)(jnp.asarray(FLAT), good).shape == (SIDE, SIDE)
    with pytest.raises(ThermodynamicViolation, match="gain") as caught:
        checked(rollout)(jnp.asarray(FLAT), bad)
    assert caught.value.value == pytest.approx(0.5)
    batch = jnp.ones((4, SIDE, SIDE))
    with pytest.raises(ThermodynamicViolation):
        checked(jax.vmap(step))(batch, bad)
    slope = checked(jax.grad(lambda e: step(e, 1.0).sum()))(jnp.asarray(FLAT))
    np.testing.assert_array_equal(slope, FLAT)


def test_compiled_code_names_the_step_of_the_batch() -> None:
    step = thermo_compile(lambda e, by: e * by[:, None, None, None])
    with pytest.raises(ThermodynamicViolation) as caught:
        checked(step)(jnp.ones((3, SIDE, SIDE, 1)), jnp.array([1.0, 1.0, 1.25]))
    assert caught.value.where.endswith("[2]")
    assert (caught.value.value, caught.value.limit) == (pytest.approx(0.25), 1e-5)


def test_compiled_code_warns_and_records_too() -> None:
    step = thermo_compile(mode="record")(gain)
    assert float(jax.jit(step)(jnp.ones((2, SIDE, SIDE, 1)), 2.0).sum()) == 4 * SIDE * SIDE
    jax.effects_barrier()
    assert [(one.kind, one.where) for one in step.violations] == [("energy", "gain[0]"), ("energy", "gain[1]")]


def test_compiling_without_the_checks_is_refused_by_jax() -> None:
    with pytest.raises(ValueError, match="not functionalized"):
        jax.jit(thermo_compile(gain))(jnp.asarray(FLAT), 1.0)


def test_another_ones_check_stays_its_own() -> None:
    def other(energy: Any) -> Any:
        checkify.check(energy.sum() < 0, "mine")
        return thermo_compile(gain)(energy, 1.0)

    with pytest.raises(checkify.JaxRuntimeError, match="mine"):
        checked(other)(jnp.asarray(FLAT))


def test_a_domain_brings_its_laws() -> None:
    sharpened = apply(lambda e: np.eye(SIDE) * e.sum() / SIDE, FLAT)
    assert outcome(sharpened, thermo_compile(domain="fluid_dynamics")) == "entropy"
    assert outcome(sharpened, thermo_compile(domain="astrophysics")) is None
    assert outcome(sharpened, thermo_compile(domain="fluid_dynamics", min_entropy_change=-1.0)) is None
    assert outcome(apply(gain, FLAT, 2.0), thermo_compile(domain="plasma_physics")) is None
    assert outcome(apply(gain, FLAT, 2.0), thermo_compile(domain="plasma_physics", heat=1.0)) == "energy"
    assert outcome(apply(gain, -FLAT, 2.0), thermo_compile(domain="surface_temperature")) is None


@pytest.mark.parametrize(
    ("decorate", "call", "says"),
    [
        (lambda: thermo_compile(energy_budget=1.0, max_energy_drift=1.0), None, "got both"),
        (lambda: thermo_compile(state="x")(gain), None, "argument 'x' of gain, got energy, by"),
        (lambda: thermo_compile(lambda: FLAT), None, "that is a field, got none"),
        (lambda: thermo_compile(gain), (3.0, 1.0), r"got float"),
        (lambda: thermo_compile(lambda e: e[None]), (np.ones((2, SIDE, SIDE, 1)),), r"expected a prediction of shape"),
    ],
)
def test_what_cannot_be_checked_is_refused(decorate: Any, call: Any, says: str) -> None:
    with pytest.raises(FieldError, match=says):
        decorate()(*call)
