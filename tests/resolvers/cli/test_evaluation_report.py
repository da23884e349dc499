"""The report for people says what the JSON says, and nothing of what does not apply."""

from __future__ import annotations

from nvp.prediction.baselines import LinearExtrapolation, Persistence
from nvp.prediction.evaluation import evaluate
from resolvers.cli.evaluation_report import report
from tests.nvp.fields import fluid_series, temperature_series

RIVALS = {"persistence": Persistence(), "linear_extrapolation": LinearExtrapolation()}


def test_one_lead_has_a_headline_and_no_table_of_leads() -> None:
    scores = evaluate(LinearExtrapolation(), [temperature_series()], rivals=RIVALS).to_json()
    text = report(scores)
    assert f"{scores['fidelity']['pooled']:.4f}" in text
    assert "linear extrapolation" in text
    assert "known physics" not in text
    assert "first law" not in text
    assert "VRMSE of steps" not in text
    assert max(map(len, text.splitlines())) <= 110


def test_a_rollout_has_its_leads_windows_and_laws() -> None:
    series = [fluid_series(seed=seed, frames=16) for seed in (1, 2)]
    scores = evaluate(Persistence(), series, rivals=RIVALS, horizon=12, drift=5).to_json() | {"run": "0198"}
    text = report(scores)
    assert "6:12" in text
    assert text.count("(recorded)") == 2
    assert [line.split()[0] for line in text.splitlines() if line.strip()[:2].strip() in {"7", "12", "5"}] == ["12"]
    assert "first law closes to 0.0e+00" in text
    assert "after 5 steps" in text
    assert text.endswith("run 0198")
    assert "calibration" not in text, "persistence claims nothing"
