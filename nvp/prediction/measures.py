"""Measures of one lead beside the headline: each a value per pair, of which an evaluation says the mean.

rmse, mae, l_infinity, pearson_r                  The Well's, mean over channels (mae besides)
spectral_error_{mse,nmse}_per_bin_{0,1,2}         The Well's binned spectra
nrmse                                             APEBench's
gradient_cosine, change_gradient_cosine           `nvp.thermo.alignment`, the flattened definition
spectrum_error, spectrum_log_error, fine_structure    `nvp.thermo.spectra`
total_error                                       `nvp.thermo.totals`
total_energy_fidelity, field_fidelity             the two looser fidelities, by which persistence does well
entropy_error, entropy_agreement, entropy_change_error    `nvp.thermo.entropy_scores`; energies only
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Float, Float64

from nvp.dynamics.domain import DomainSpec
from nvp.thermo.alignment import cosine, slopes
from nvp.thermo.apebench_metrics import nrmse
from nvp.thermo.entropy_scores import entropy_error, entropy_of
from nvp.thermo.scores import field_fidelity, total_energy_fidelity
from nvp.thermo.spectra import Densities, compare_spectra, densities
from nvp.thermo.totals import total_error
from nvp.thermo.well_metrics import binned_spectral_mse, l_infinity, mse, pearson_r

Fields = Float[np.ndarray, "n h w c"]
PerPair = Float64[np.ndarray, "n"]

# spatial entropies of P, T and O, of which `entropy_change_error` is made over all pairs; no measures of their own
ENTROPIES = ("entropy predicted", "entropy true", "entropy before")


class Seen:
    """What came true at one lead, with what the measures need of it computed once for all forecasters."""

    def __init__(self, truth: Fields, origin: Fields, spec: DomainSpec) -> None:
        self.truth = truth
        # the field of time t
        self.origin = origin
        self.spec = spec

    def measure(self, predicted: Fields) -> dict[str, PerPair]:
        """All measures of a prediction of this lead, by name."""
        truth, spec = self.truth, self.spec
        squared = mse(predicted, truth)
        spectra = compare_spectra(densities(predicted, spec), self._densities)
        slope = slopes(predicted, spec)
        found = {
            "rmse": np.sqrt(squared).mean(axis=-1),
            "mae": np.abs(predicted.astype(np.float64) - truth).mean(axis=(1, 2, 3)),
            "l_infinity": l_infinity(predicted, truth).mean(axis=-1),
            "pearson_r": pearson_r(predicted, truth).mean(axis=-1),
            "nrmse": nrmse(predicted, truth),
            **{name: values.mean(axis=-1) for name, values in binned_spectral_mse(predicted, truth).items()},
            "gradient_cosine": cosine(slope, self._slopes),
            "change_gradient_cosine": cosine(slope - self._slopes_before, self._slopes - self._slopes_before),
            "spectrum_error": spectra.error,
            "spectrum_log_error": spectra.log_error,
            "fine_structure": spectra.fine,
            "total_error": total_error(predicted, truth),
            "total_energy_fidelity": total_energy_fidelity(predicted, truth),
            "field_fidelity": field_fidelity(predicted, truth),
        }
        if not spec.signed:
            entropy = entropy_of(predicted)
            error = entropy_error(entropy, self._entropy)
            found |= {"entropy_error": error, "entropy_agreement": 1 - error}
            found |= dict(zip(ENTROPIES, (entropy, self._entropy, self._entropy_before), strict=True))
        return found

    @cached_property
    def _slopes(self) -> Float64[np.ndarray, "n d"]:
        return slopes(self.truth, self.spec)

    @cached_property
    def _slopes_before(self) -> Float64[np.ndarray, "n d"]:
        return slopes(self.origin, self.spec)

    @cached_property
    def _densities(self) -> Densities:
        return densities(self.truth, self.spec)

    @cached_property
    def _entropy(self) -> PerPair:
        return entropy_of(self.truth)

    @cached_property
    def _entropy_before(self) -> PerPair:
        return entropy_of(self.origin)
