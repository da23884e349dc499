"""Perturbed sequences: what they keep, what they record, and how well they could be predicted at best."""

from __future__ import annotations

import dataclasses
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from nvp.atlas.maps.loader import EnergyAtlasLoader
from nvp.dynamics import perturbed
from nvp.dynamics.domain import DOMAINS
from nvp.dynamics.kinds import configure_kind, domains, make
from nvp.dynamics.patterns import pattern
from nvp.dynamics.perturbations import apply_gaussian_noise, apply_thermal_blur
from nvp.dynamics.perturbed import apply_step, generate, generate_sequence, noise_ceiling, simulate
from nvp.dynamics.perturbed_config import (
    DOMAIN_PARAMETERS,
    OPERATIONS,
    PerturbationConfig,
    PerturbedConfig,
    configure_perturbed,
)
from nvp.dynamics.samples import save_sample, sequence_name
from nvp.errors import FieldError

ALL = PerturbationConfig(rotation=True, translation=True, energy_scaling=True, blur_sigma_px=1.0, seed=5)
BASE = pattern("turbulent", (32, 40), np.random.default_rng(0))


# -- sequences --------------------------------------------------------------------------------------------------------


def test_a_sequence_begins_with_its_base_map() -> None:
    frames, steps = generate_sequence(BASE, 10, ALL)
    assert frames.shape == (10, 32, 40)
    assert np.array_equal(frames[0], BASE)
    assert [one.step for one in steps] == list(range(10))
    assert steps[0].perturbations == ()


def test_without_perturbations_it_stands_still() -> None:
    config = PerturbationConfig(gaussian_noise=False, thermal_blur=False)
    frames, steps = generate_sequence(BASE, 5, config)
    assert all(np.array_equal(frame, BASE) for frame in frames)
    assert noise_ceiling(frames, steps) is None


def test_metadata_are_left_out_where_nobody_wants_them() -> None:
    alone = generate_sequence(BASE, 4, ALL, return_metadata=False)
    assert np.array_equal(alone, generate_sequence(BASE, 4, ALL)[0])


def test_the_same_seed_is_the_same_sequence() -> None:
    one, other = (generate_sequence(BASE, 6, ALL)[0] for _ in range(2))
    assert np.array_equal(one, other)
    assert not np.allclose(one, generate_sequence(BASE, 6, dataclasses.replace(ALL, seed=6))[0])


def test_each_step_can_be_done_again_from_what_was_recorded_before_it() -> None:
    frames, steps = generate_sequence(BASE, 6, ALL)
    for t in range(5):
        again = apply_step(frames[t], ALL, steps[t].drawn)
        assert np.array_equal(again.energy, frames[t + 1])
        assert again.done == steps[t + 1].perturbations
        names = [one["name"] for one in again.done]
        assert names == list(OPERATIONS)
        said = {key: value for one in again.done for key, value in one.items()}
        assert {key: said[key] for key in steps[t].drawn} == steps[t].drawn
    drawn = [one.drawn for one in steps]
    assert all(0 <= d["angle_deg"] <= 360 and abs(d["shift_x"]) <= 10 and 0.9 <= d["scale"] <= 1.1 for d in drawn)
    assert len({d["angle_deg"] for d in drawn}) == len({d["noise_seed"] for d in drawn}) == 6


# -- conservation of whole sequences ----------------------------------------------------------------------------------


def test_the_total_changes_by_the_recorded_source_alone() -> None:
    frames, steps = generate_sequence(BASE, 10, ALL)
    totals = frames.sum(axis=(1, 2))
    gained = np.array([one.source_total for one in steps])
    assert np.abs(gained[1:]).min() > 0.1
    assert np.diff(totals) == pytest.approx(gained[1:], abs=1e-9 * totals[0])
    without, _ = generate_sequence(BASE, 10, dataclasses.replace(ALL, energy_scaling=False))
    assert without.sum(axis=(1, 2)) == pytest.approx(totals[0], rel=1e-12)


@pytest.mark.parametrize("order", [OPERATIONS, OPERATIONS[::-1]])
def test_q_of_a_step_is_known_when_it_begins(order: tuple[str, ...]) -> None:
    """Wherever scaling stands in the order, ∑Q_t·dt is what it adds."""
    config = PerturbedConfig(
        domain="fluid_dynamics", pattern="vortex", height=16, perturbation=dataclasses.replace(ALL, order=order)
    )
    (series,) = simulate(config, 0, sequences=1)
    known = series.context["source"].sum(axis=(1, 2, 3), dtype=float) * series.dt
    assert series.source_total is not None
    assert known[:-1] == pytest.approx(series.source_total[1:], rel=1e-5)


# -- entropy of whole sequences ---------------------------------------------------------------------------------------


def test_a_fall_of_entropy_is_logged_and_no_more(caplog: pytest.LogCaptureFixture) -> None:
    noise = PerturbationConfig(thermal_blur=False)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings():
        warnings.simplefilter("error")
        generate_sequence(np.ones((32, 32)), 3, noise)
    assert "falls in 2 of 2 steps" in caplog.text
    caplog.clear()
    generate_sequence(BASE, 3, PerturbationConfig(gaussian_noise=False))
    assert caplog.text == ""


# -- physical validity ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", DOMAIN_PARAMETERS)
def test_frames_are_finite_positive_and_bounded(domain: str) -> None:
    kind, of = DOMAIN_PARAMETERS[domain]
    frames, _ = generate(PerturbedConfig(domain=domain, pattern=kind, height=32, width=48, perturbation=of), 0, 0)
    assert np.isfinite(frames).all()
    assert frames.min() >= 0
    # blurs average: no cell outgrows the base map's highest by more than the noise
    assert frames.max() <= frames[0].max() * (1 + 5 * of.noise_sigma)
    assert frames.std(axis=(1, 2)).min() > 0.01


# -- noise ceiling ----------------------------------------------------------------------------------------------------


def test_irreducible_energy_is_that_of_blurred_white_noise() -> None:
    """Far from 0, noise then a periodic blur leaves Nz = σ²·N·∑k², with the kernel k."""
    sigma, blur, side = 0.1, 1.5, 96
    spot = np.zeros((side, side))
    spot[0, 0] = 1.0
    kernel = ndimage.gaussian_filter(spot, blur, mode="wrap")
    exact = sigma**2 * side**2 * (kernel**2).sum()
    _, steps = generate_sequence(np.ones((side, side)), 5, PerturbationConfig(noise_sigma=sigma, blur_sigma_px=blur))
    found = [one.irreducible for one in steps[1:]]
    assert np.mean(found) == pytest.approx(exact, rel=0.05)
    assert steps[0].irreducible == 0


def test_no_predictor_beats_the_ceiling_and_the_one_that_knows_the_physics_comes_near() -> None:
    config = PerturbationConfig(noise_sigma=0.15, blur_sigma_px=1.0)
    frames, steps = generate_sequence(pattern("turbulent", (96, 96), np.random.default_rng(1)), 8, config)
    ceiling = noise_ceiling(frames, steps)
    assert ceiling is not None
    change = (np.diff(frames, axis=0) ** 2).sum()
    told = [apply_thermal_blur(frame, 1.0).energy for frame in frames[:-1]]
    noise = [apply_gaussian_noise(frame, 0.15, rng=np.random.default_rng(k)) for k, frame in enumerate(frames[:-1])]
    unlucky = [apply_thermal_blur(frame.energy, 1.0).energy for frame in noise]
    oracle, dreamer = (1 - np.sqrt(((np.array(p) - frames[1:]) ** 2).sum() / change) for p in (told, unlucky))
    assert oracle == pytest.approx(ceiling, abs=0.02)
    # who draws a noise of his own doubles the error
    assert 1 - dreamer == pytest.approx(np.sqrt(2) * (1 - ceiling), rel=0.1)


def test_without_noise_the_ceiling_is_one() -> None:
    frames, steps = generate_sequence(BASE, 4, dataclasses.replace(ALL, gaussian_noise=False))
    assert noise_ceiling(frames, steps) == 1.0


# -- as series and samples --------------------------------------------------------------------------------------------


def test_what_was_drawn_is_context() -> None:
    config = PerturbedConfig(domain="fluid_dynamics", pattern="vortex", height=16, width=24, perturbation=ALL)
    series = simulate(config, 3, sequences=2, first=4)[1]
    frames, steps = generate(config, 3, 5)
    assert np.array_equal(series.energy[..., 0], frames.astype(np.float32))
    assert {name: values.shape for name, values in series.context.items()} == {
        "rotation": (10, 16, 24, 1),
        "shift": (10, 16, 24, 2),
        "source": (10, 16, 24, 1),
    }
    for t, one in enumerate(steps):
        assert np.all(series.context["rotation"][t] == np.float32(one.drawn["angle_deg"]))
        assert np.all(series.context["shift"][t] == np.array([one.drawn["shift_x"], one.drawn["shift_y"]]))
    assert series.parameters["noise_sigma"] == ALL.noise_sigma
    assert series.parameters["irreducible"] == pytest.approx(np.mean([one.irreducible for one in steps[1:]]))


def test_a_sequence_does_not_depend_on_how_many_are_made() -> None:
    config, told = configure_perturbed("fluid_dynamics", {"scale": 16, "steps": 3}), []
    made = simulate(config, 1, sequences=4, progress=lambda *at: told.append(at))
    (alone,) = simulate(config, 1, sequences=1, first=3)
    assert np.array_equal(made[3].energy, alone.energy)
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len({series.energy.tobytes() for series in [*made, *simulate(config, 2, sequences=4)]}) == 8


def test_samples_keep_all_that_was_done(tmp_path: Path) -> None:
    atlas = EnergyAtlasLoader(tmp_path)
    config = PerturbedConfig(domain="fluid_dynamics", pattern="vortex", height=16, width=16, perturbation=ALL)
    frames, steps = generate(config, 0, 2)
    series = perturbed.as_series(config, frames, steps)
    ids = save_sample(atlas, series, name=sequence_name("perturbation", 0, 2), seed=0, steps=steps)
    assert ids[3] == "perturbation-0-0002/0003"
    energy, metadata = atlas.load_map("fluid_dynamics", ids[3])
    assert np.array_equal(energy, series.energy[3, ..., 0])
    assert metadata.source == "synthetic"
    assert metadata.seed == 0
    said = {one["name"]: one for one in metadata.perturbations}
    assert said["rotation"]["angle_deg"] == steps[2].drawn["angle_deg"]
    assert said["gaussian_noise"]["irreducible"] == steps[3].irreducible
    assert metadata.source_total == pytest.approx(steps[3].source_total)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.npy")}
    save_sample(atlas, series, name=sequence_name("perturbation", 0, 2), seed=0, steps=steps)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.npy")} == before


# -- configuration ----------------------------------------------------------------------------------------------------


def test_defaults_are_noise_then_blur() -> None:
    assert PerturbationConfig().operations == ("gaussian_noise", "thermal_blur")


def test_a_configuration_of_ones_own() -> None:
    given: dict[str, Any] = {
        "scale": 16,
        "pattern": "laminar",
        "rotation": 1,
        "rotation_max_deg": 30,
        "scale_range": [0.5, 2],
        "boundary": "reflect",
    }
    config = configure_perturbed("fluid_dynamics", given)
    assert (config.shape, config.pattern, config.steps) == ((16, 16), "laminar", 10)
    assert config.perturbation.rotation is True
    assert config.perturbation.rotation_max_deg == 30.0
    assert config.perturbation.scale_range == (0.5, 2.0)
    # what is not said is the domain's
    assert config.perturbation.blur_sigma_px == 2.0


def test_domains_have_the_parameters_of_the_sample_set() -> None:
    table = {
        name: (kind, of.noise_sigma if of.gaussian_noise else None, of.blur_sigma_px, of.rotation_max_deg * of.rotation)
        for name, (kind, of) in DOMAIN_PARAMETERS.items()
    }
    assert table == {
        "plasma_physics": ("turbulent", 0.15, 3.0, 0),
        "fluid_dynamics": ("vortex", 0.10, 2.0, 0),
        "astrophysics": ("turbulent", 0.20, 4.0, 0),
        "turbulent_radiative_layer": ("turbulent", None, 2.5, 90.0),
        "active_matter": ("vortex", 0.08, 1.5, 0),
    }


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"scale": 20}, "multiple of 8"),
        ({"steps": 1}, "steps"),
        ({"pattern": "striped"}, "pattern"),
        ({"boundary": "sideways"}, "boundary"),
        ({"noise_sigma": -1.0}, "noise_sigma >= 0"),
        ({"noise_sigma": float("nan")}, "number"),
        ({"rotation_max_deg": 400.0}, "up to 360"),
        ({"scale_range": [2.0, 1.0]}, "scale_range"),
        ({"scale_range": 1.0}, "2 values"),
        ({"order": ["rotation"] * 5}, "order"),
        ({"rotation": 2}, "true or false"),
        ({"sigma": 1.0}, "sigma"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(FieldError, match=word) as caught:
        configure_perturbed("fluid_dynamics", settings)
    assert "\n" not in str(caught.value)


def test_kinds_and_presets() -> None:
    assert domains("perturbation", "seeds") == list(DOMAIN_PARAMETERS)
    seeds = configure_kind("perturbation", "fluid_dynamics", {}, "seeds")
    assert (seeds.shape, seeds.steps) == ((256, 256), 10)
    with pytest.raises(FieldError, match="twice"):
        configure_kind("perturbation", "fluid_dynamics", {"height": 64}, "seeds")
    with pytest.raises(FieldError, match="preset"):
        configure_kind("pde", "fluid_dynamics", {}, "seeds")
    with pytest.raises(FieldError, match="preset"):
        domains("pde", "seeds")
    with pytest.raises(FieldError, match="pde, perturbation"):
        configure_kind("dream", "fluid_dynamics", {})
    with pytest.raises(FieldError, match="energies"):
        configure_kind("perturbation", "surface_temperature", {})


def test_kinds_make_what_they_say() -> None:
    small = configure_kind("perturbation", "fluid_dynamics", {"scale": 16, "steps": 3})
    (drawn,) = make("perturbation", "fluid_dynamics", small, 2, sequences=1)
    assert np.array_equal(drawn.energy, simulate(small, 2, sequences=1)[0].energy)
    assert set(domains("pde")) <= set(DOMAINS)
