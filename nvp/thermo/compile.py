"""thermo-compile: a function that predicts fields, held to the laws at every call.

    @thermo_compile(max_energy_drift=1e-5, min_entropy_change=-1e-6)
    def step(energy, dt): ...

Called outside compiled code, on NumPy or JAX arrays, the wrapper measures what went in and what came out in float64
and raises `ThermodynamicViolation`, warns, or records. Inside compiled code no Python exception can be raised on
traced values. There the same decorator checks by `jax.experimental.checkify`, and one line makes both one:

    fast = checked(step)        # or any function that calls `step`, in `vmap`, `lax.scan` or `grad`
    fast(energy, dt)            # compiled; raises the same ThermodynamicViolation after the call

`jax.jit(step)` alone is refused by JAX ("not functionalized"), so that no check is ever left out in silence. In the
modes `warn` and `record` compiled code needs nothing: what was found is told to the host by a callback
(`jax.effects_barrier()` waits for the last).

Sums inside compiled code have the field's dtype, at least float32: budgets below about 1e-6 belong outside it.
Reference: error checking as an effect that is functionalized, `jax.experimental.checkify`.
"""

from __future__ import annotations

import functools
import inspect
import re
import warnings
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, ParamSpec, TypeVar, get_args, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import checkify

from nvp.dynamics.domain import DomainSpec
from nvp.dynamics.domain import domain as registered
from nvp.errors import FieldError
from nvp.thermo.violations import (
    CLOSURE,
    Kind,
    Limits,
    Measure,
    ThermodynamicViolation,
    Violation,
    measures,
    violations,
)

Mode = Literal["raise", "warn", "record"]
Arguments = Mapping[str, Any]
P = ParamSpec("P")
R = TypeVar("R")

# violations that a wrapper in mode `record` keeps, the latest
KEPT = 10_000
# how a failed check inside compiled code names itself
_SAID = re.compile(
    r"thermo: (?P<kind>[a-z ]+) is (?P<value>\S+), limit (?P<limit>\S+), at (?P<where>.*) \(`check` failed\)"
)


class ThermodynamicWarning(UserWarning):
    """A law was broken by a function in mode `warn`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a function is held to; the wrapper carries it as `thermo`."""

    limits: Limits
    mode: Mode
    # name of the function, in every violation
    where: str
    # parameter that is E_t, or how it follows from the arguments
    state: str | Callable[[Arguments], Any]
    # what of the result is the prediction: an index, a name, a function; None: see `thermo_compile`
    output: int | str | Callable[[Any], Any] | None
    # ∫ΣQ dt over the step: a number, a parameter, or how it follows from the arguments
    heat: float | str | Callable[[Arguments], Any]
    # net outflow over the step: a number, a name within the result, or how it follows from it
    outflow: float | str | Callable[[Any], Any]


@overload
def thermo_compile(function: Callable[P, R], /) -> Callable[P, R]: ...
@overload
def thermo_compile(
    *,
    state: str | Callable[[Arguments], Any] | None = ...,
    output: int | str | Callable[[Any], Any] | None = ...,
    heat: float | str | Callable[[Arguments], Any] = ...,
    outflow: float | str | Callable[[Any], Any] = ...,
    max_energy_drift: float | None = ...,
    energy_budget: float | None = ...,
    min_entropy_change: float | None = ...,
    entropy_max: float | None = ...,
    entropy_max_share: float | None = ...,
    domain: str | DomainSpec | None = ...,
    mode: Mode = ...,
    record: Callable[[Violation], object] | None = ...,
) -> Callable[[Callable[P, R]], Callable[P, R]]: ...
def thermo_compile(
    function: Callable[..., Any] | None = None,
    /,
    *,
    state: str | Callable[[Arguments], Any] | None = None,
    output: int | str | Callable[[Any], Any] | None = None,
    heat: float | str | Callable[[Arguments], Any] = 0.0,
    outflow: float | str | Callable[[Any], Any] = 0.0,
    max_energy_drift: float | None = None,
    energy_budget: float | None = None,
    min_entropy_change: float | None = None,
    entropy_max: float | None = None,
    entropy_max_share: float | None = None,
    domain: str | DomainSpec | None = None,
    mode: Mode = "raise",
    record: Callable[[Violation], object] | None = None,
) -> Any:
    """Hold a function to the laws; fields are (H, W), or (…, H, W, C) with any leading axes, each a step of its own.

    `state` names the parameter that is E_t, by default the first but for `self`. `output` says what of the result is
    the prediction, by default the result itself, its `mean`, or the first of a tuple. `heat` is ∫Q dt, as a total of
    each step or per cell; `outflow` the net total that leaves.

    Limits: `max_energy_drift` (the seeds' `energy_budget`) is relative to what is there, by default 1e-5;
    `min_entropy_change` a share of ln N, -1e-6 for "may not fall"; `entropy_max` in nats, or `entropy_max_share` of
    ln N, the same on every grid. A `domain` brings the limits of its laws, which those that are given replace.
    Cells that are not finite or below 0 are violations always.

    Mode `record` hands each violation to `record`, by default to the wrapper's own `violations`.
    """
    if max_energy_drift is not None and energy_budget is not None:
        raise FieldError("BAD_LIMIT", "expected max_energy_drift or energy_budget, got both.", next_step="Give one.")
    if mode not in get_args(Mode):
        raise FieldError("BAD_MODE", f"expected a mode out of {', '.join(get_args(Mode))}, got {mode!r}.")
    given = {
        "max_energy_drift": energy_budget if max_energy_drift is None else max_energy_drift,
        "min_entropy_change": min_entropy_change,
        "max_entropy": entropy_max,
        "max_entropy_share": entropy_max_share,
    }
    laws = _laws(domain, heat_known=heat != 0.0)
    limits = Limits(**{**laws, **{name: value for name, value in given.items() if value is not None}})

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        contract = Contract(
            limits=limits,
            mode=mode,
            where=getattr(function, "__qualname__", type(function).__name__),
            state=_state_of(function) if state is None else state,
            output=output,
            heat=heat,
            outflow=outflow,
        )
        return _wrapped(function, contract, record)

    return decorate if function is None else decorate(function)


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function together with the checks of everything it calls; what they find is raised after each call.

    Waits for the result, as raising has to.
    """
    compiled = jax.jit(checkify.checkify(function, errors=checkify.user_checks))

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        result: R
        error, result = compiled(*args, **kwargs)
        _throw(error)
        return result

    return call


def _wrapped(
    function: Callable[..., Any], contract: Contract, record: Callable[[Violation], object] | None
) -> Callable[..., Any]:
    kept: deque[Violation] = deque(maxlen=KEPT)
    signature = inspect.signature(function)
    for name in (contract.state, contract.heat):
        if isinstance(name, str) and name not in signature.parameters:
            raise FieldError(
                "NO_ARGUMENT",
                f"expected an argument {name!r} of {contract.where}, got {', '.join(signature.parameters) or 'none'}.",
                next_step="Name the one that is the field (state) or the heat.",
            )

    def deliver(found: Violation) -> None:
        if contract.mode == "raise":
            raise ThermodynamicViolation(found.kind, found.value, found.limit, found.where)
        if contract.mode == "warn":
            warnings.warn(str(found), ThermodynamicWarning, stacklevel=5)
        else:
            (record or kept.append)(found)

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        _check(contract, bound.arguments, result, deliver)
        return result

    wrapper.thermo = contract  # type: ignore[attr-defined]
    wrapper.violations = kept  # type: ignore[attr-defined]
    return wrapper


def _check(contract: Contract, arguments: Arguments, result: Any, deliver: Callable[[Violation], None]) -> None:
    """Measure one call; raw values may be NumPy's, JAX's or traced."""
    where, state = contract.where, contract.state
    before = _array(state(arguments) if callable(state) else arguments[state], where)
    after = _array(_prediction(result, contract.output), where)
    heat = contract.heat(arguments) if callable(contract.heat) else contract.heat
    heat = arguments[heat] if isinstance(heat, str) else heat
    left = contract.outflow(result) if callable(contract.outflow) else contract.outflow
    left = _named(result, left) if isinstance(left, str) else left
    if before.shape != after.shape:
        raise FieldError(
            "BAD_SHAPE",
            f"expected a prediction of shape {before.shape} from {where}, got {after.shape}.",
            next_step="Choose what of the arguments is the state, and what of the result the output.",
        )
    traced = any(isinstance(value, jax.core.Tracer) for value in (before, after, heat, left))
    cast = _traced if traced else _hosted
    fields, heat, left = [cast(before), cast(after)], cast(heat), cast(left)
    if heat.ndim == before.ndim:
        heat = heat.sum(axis=(-1, -2) if heat.ndim == 2 else (-1, -2, -3))
    if before.ndim == 2:
        fields = [field[..., None] for field in fields]
    for found in measures(*fields, limits=contract.limits, heat=heat, outflow=left):
        if not traced:
            for violation in violations(found, where=where):
                deliver(violation)
        elif contract.mode == "raise":
            _check_inside(found, where)
        else:
            jax.debug.callback(
                functools.partial(_told, found.kind, found.limit, where, deliver), found.broken, found.value
            )


def _check_inside(found: Measure, where: str) -> None:
    """The checkify form: the first step of the batch that breaks the law speaks for all."""
    broken = jnp.ravel(found.broken)
    place = jnp.argmax(broken)
    at = where.replace("{", "{{").replace("}", "}}") + ("[{place}]" if found.broken.ndim else "")
    checkify.check(
        ~jnp.any(broken),
        f"thermo: {found.kind} is {{value}}, limit {found.limit!r}, at {at}",
        value=jnp.ravel(found.value)[place],
        place=place,
    )


def _told(kind: Kind, limit: float, where: str, deliver: Callable[[Violation], None], broken: Any, value: Any) -> None:
    """What compiled code measured, on the host."""
    for violation in violations(Measure(kind=kind, value=value, limit=limit, broken=broken), where=where):
        deliver(violation)


def _throw(error: checkify.Error) -> None:
    message = error.get()
    if message is None:
        return
    said = _SAID.search(message)
    if said is None:  # somebody else's check
        checkify.check_error(error)
        return
    kind: Any = said["kind"]
    raise ThermodynamicViolation(kind, float(said["value"]), float(said["limit"]), said["where"])


def _laws(domain: str | DomainSpec | None, *, heat_known: bool) -> dict[str, Any]:
    if domain is None:
        return {"max_energy_drift": CLOSURE}
    spec = registered(domain) if isinstance(domain, str) else domain
    limits = Limits.of(spec, heat_known=heat_known)
    return {name: getattr(limits, name) for name in ("max_energy_drift", "min_entropy_change", "signed")}


def _state_of(function: Callable[..., Any]) -> str:
    """The first parameter but for the object or class of a method."""
    names = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    if not names:
        raise FieldError("NO_ARGUMENT", f"expected an argument of {function!r} that is a field, got none.")
    return names[0]


def _prediction(result: Any, output: int | str | Callable[[Any], Any] | None) -> Any:
    if callable(output):
        return output(result)
    if isinstance(output, int):
        return result[output]
    if isinstance(output, str):
        return _named(result, output)
    # arrays have a `mean` too, which is no prediction
    if hasattr(result, "ndim"):
        return result
    if hasattr(result, "mean"):
        return result.mean
    return result[0] if isinstance(result, tuple) and result else result


def _named(result: Any, name: str) -> Any:
    return result[name] if isinstance(result, Mapping) else getattr(result, name)


def _array(value: Any, where: str) -> Any:
    if getattr(value, "ndim", 0) < 2:
        got = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        raise FieldError(
            "BAD_SHAPE",
            f"expected fields (H, W) or (…, H, W, C) in and out of {where}, got {got}.",
            next_step="Choose what of the arguments is the state, and what of the result the output.",
        )
    return value


def _hosted(value: Any) -> np.ndarray:
    return np.asarray(value, np.float64)


def _traced(value: Any) -> jax.Array:
    array = jnp.asarray(value)
    return array if array.dtype == jnp.float64 else array.astype(jnp.float32)
