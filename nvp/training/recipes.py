"""Recipes: what a training does where its configuration leaves it open. No JAX here.

`default` is what measured best: AdamW with warm-up and cosine, the metric itself as the loss, a running mean of the
parameters. `seeds` is the classical regressor to compare with: Adam at a constant 1e-4, batches of 16 and

    MSE + 0.1 |ΣP − ΣT|/ΣT + 0.05 max(0, S(E_t) − S(P))

in which the entropy term counts only where the second law is one. It has no term for the variance, which stays
untrained; `LossConfig(…, variance=0.02)` adds one without touching the three.

Reference: Loshchilov & Hutter, Decoupled weight decay regularization, ICLR (2019); Kingma & Ba, Adam, ICLR (2015).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from nvp.dynamics.domain import DomainSpec
from nvp.model.config import NVPConfig, Size
from nvp.training.config import LossConfig, TrainingConfig

# the more parameters move at once, the less each may: at 2e-3 networks of a million were seen to break down
_RATES: dict[Size, float] = {"tiny": 2e-3, "small": 1e-3, "base": 5e-4, "literal": 1e-3}

SEEDS_LOSS = LossConfig(fidelity=0.0, variance=0.0, mse=1.0, conservation=0.1, entropy=0.05)


def suited(config: TrainingConfig, model: NVPConfig, spec: DomainSpec | None = None) -> TrainingConfig:
    """The same configuration with every open choice made for this kind of network and, where given, domain."""
    choices = _seeds() if config.recipe == "seeds" else _default(site=model.site is not None, size=config.size)
    choices["history"] = model.history
    made = replace(config, **{name: value for name, value in choices.items() if getattr(config, name) is None})
    return made if spec is None else replace(made, loss=lawful(made.loss or LossConfig(), spec))


def lawful(loss: LossConfig, spec: DomainSpec) -> LossConfig:
    """Without the penalty of falling entropy where nothing forbids it to fall, or where the field has none."""
    against_the_law = loss.entropy_from == "state" and not spec.second_law
    return replace(loss, entropy=0.0) if loss.entropy and (against_the_law or spec.signed) else loss


def _default(*, site: bool, size: Size) -> dict[str, Any]:
    """A network of one site has few and similar examples: it is held back by dropout, weight decay and an early stop.

    Simulated fields come in any number, and there only the steps count.
    """
    return {
        "epochs": 12 if site else 30,
        "batch": 4 if site else 8,
        "learning_rate": 5e-4 if site else _RATES[size],
        "schedule": "cosine",
        "weight_decay": 1.0 if site else 1e-4,
        "beta2": 0.99,
        "largest_update": 0.5,
        "dropout": 0.3 if site else 0.0,
        "patience": 8 if site else 1000,
        "ema": 0.995,
        "loss": LossConfig(),
        "augment": True,
    }


def _seeds() -> dict[str, Any]:
    return {
        "epochs": 100,
        "batch": 16,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "weight_decay": 0.0,
        "beta2": 0.999,
        "largest_update": 0.0,
        "dropout": 0.0,
        "patience": 1000,
        "ema": 0.0,
        "loss": SEEDS_LOSS,
        "augment": False,
    }
