"""The two kinds of generated data: `pde`, what a domain's simulator makes, and `perturbation`, perturbed pictures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

from nvp.atlas.series import Series
from nvp.dynamics.config import CONFIGS, PRESETS, configure
from nvp.dynamics.perturbed_config import DOMAIN_PARAMETERS, PERTURBED_PRESETS, configure_perturbed
from nvp.errors import FieldError

Kind = Literal["pde", "perturbation"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def domains(kind: Kind, preset: str | None = None) -> list[str]:
    """Domains that have this kind of data, and the preset where one is asked for; raises `FieldError` for none."""
    if kind == "perturbation":
        known, presets = list(DOMAIN_PARAMETERS), dict.fromkeys(DOMAIN_PARAMETERS, PERTURBED_PRESETS)
    else:
        known, presets = list(CONFIGS), PRESETS
    found = [name for name in known if preset is None or preset in presets.get(name, {})]
    if found:
        return found
    names = sorted({name for each in presets.values() for name in each})
    raise FieldError(
        "UNKNOWN_PRESET",
        f"expected a preset of kind {kind} ({', '.join(names) or 'there is none'}), got {preset!r}.",
        next_step="Leave it out, or choose one of them.",
    )


def configure_kind(kind: str, domain: str, settings: Mapping[str, Any], preset: str | None = None) -> Any:
    """The configuration from plain values; what a preset says may not be said again. Raises `FieldError`."""
    if kind not in KINDS:
        raise FieldError("UNKNOWN_KIND", f"expected a kind out of {', '.join(KINDS)}, got {kind!r}.")
    if preset is not None:
        settings = _with_preset(kind, domain, settings, preset)
    return configure(domain, settings) if kind == "pde" else configure_perturbed(domain, settings)


def settings_of(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that `configure_kind` makes this whole configuration of; the inverse, for what a recipe holds."""
    if kind == "pde":
        return dict(config)
    flat = {**config, **config["perturbation"]}
    return {name: value for name, value in flat.items() if name not in ("domain", "dt", "perturbation", "seed")}


def _with_preset(kind: str, domain: str, settings: Mapping[str, Any], preset: str) -> dict[str, Any]:
    presets = PERTURBED_PRESETS if kind == "perturbation" else PRESETS.get(domain, {})
    if preset not in presets:
        raise FieldError(
            "UNKNOWN_PRESET",
            f"expected a preset of {domain!r} for kind {kind} ({', '.join(presets) or 'it has none'}), got {preset!r}.",
            next_step="Leave it out, or choose another domain.",
        )
    said = presets[preset]
    grid = {"scale", "height", "width"}
    if twice := sorted(name for name in settings if name in said or (name in grid and grid & set(said))):
        raise FieldError(
            "PRESET_CONFLICT",
            f"expected {', '.join(twice)} from preset {preset!r} alone, got it twice.",
            next_step="Leave out one of the two.",
        )
    return {**said, **settings}


def make(
    kind: str,
    domain: str,
    config: Any,
    seed: int,
    *,
    sequences: int,
    first: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> list[Series]:
    """Sequences `first` … `first + sequences − 1` of (config, seed), each the same however many are asked for."""
    if kind == "perturbation":
        from nvp.dynamics import perturbed

        return perturbed.simulate(config, seed, sequences=sequences, first=first, progress=progress)
    import jax

    from nvp.dynamics.simulators import simulator

    return simulator(domain)(config, jax.random.key(seed), sequences=sequences, first=first, progress=progress)
