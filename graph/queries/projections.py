"""Projections: which properties of a node the API reads, each named as the field of the API's type.

Every query of the read side calls its node `node` (or a name given here) and ends in one of these maps.
"""

from __future__ import annotations

from typing import LiteralString

DOMAIN: LiteralString = """node {.name, .title, .closed, .second_law, .boundary_x, .boundary_y, .units, .dx, .dy, .dt,
  .source_model, signed: coalesce(node.signed, false), .reference}"""

SEQUENCE: LiteralString = """node {.uid, domain_name: node.domain, .source, .generator, kind: node.origin,
  .recipe_json, .rng_seed, .height, .width, .dt, .first, .last, .length, .digest}"""

SEGMENT: LiteralString = "node {.uid, .first, .length, .sha256}"

SPLIT: LiteralString = "node {.uid, .name, .kind, .gap}"

SNAPSHOT: LiteralString = """node {.uid, domain_name: node.domain, sequence_uid: node.sequence, .context_sha256,
  .spread_sha256, kind: CASE WHEN node:Observed THEN 'Observed' WHEN node:Simulated THEN 'Simulated'
  ELSE 'Predicted' END, .t_index, .t, .valid_time, .sha256, .height, .width, .total_energy, .mean, .variance, .minimum,
  .maximum, .entropy, .gradient_energy, .regime, context_names: coalesce(node.context_names, []), .lead, .member,
  .source_total, .outflow_total}"""

RUN: LiteralString = """node {.uid, .kind, .state, .progress, .message, .seq, .attempt, .cancel_requested,
  .config_json, .rng_seed, .device, .code_version, .not_before, .time_limit, .energy_joules, .energy_source,
  .energy_measured, .energy_estimated, .created_at, .started_at, .finished_at, .error_code, .error_message,
  priority: coalesce(node.priority, 0), seconds: coalesce(node.seconds, 0.0),
  unmetered: coalesce(node.unmetered, 0), offline: coalesce(node.offline, false)}"""

MODEL: LiteralString = """node {.uid, domain_name: node.domain, split_uid: node.split,
  best_checkpoint_uid: node.best_checkpoint, .name, .architecture, .config_json, .rng_seed, .code_version,
  .recipe, .data_digest, .parameter_count, .created_at}"""

CHECKPOINT: LiteralString = """node {.uid, model_uid: node.model, .step, .epoch, .sha256, .val_fidelity, .removed_at,
  .metrics_json, .created_at}"""

CERTIFICATE: LiteralString = """node {.uid, .number, .digest, .previous_digest, .signature, .public_key,
  statement: node.canonical_json, .energy_joules, .energy_source, .issued_at}"""

STAGE: LiteralString = """node {.uid, .name, .position, .round, .state, .attempt, .inputs_json, .outputs_json,
  .started_at, .finished_at, .energy_joules, .energy_source, .seconds}"""

VOTE: LiteralString = "node {.uid, .round, .member, .sha256, .agrees, .starts, .agreed, .at}"

HYPOTHESIS: LiteralString = """node {.uid, domain_name: node.domain, .key, text: coalesce(node.text, ''), .claim_json,
  .credence, verdict: coalesce(node.verdict, 'untested'), .created_at, .settled_at}"""

TEST: LiteralString = """{verdict: link.verdict, prior: link.prior, credence: link.credence, weight: link.weight,
  result_json: link.verdict_json, taken_at: link.taken_at, settled_at: link.settled_at, run_uid: run.uid,
  hypothesis_uid: node.uid}"""

EPOCH: LiteralString = """node {.epoch, .step, .train_loss, .val_loss, .val_fidelity, .learning_rate,
  .samples_per_second, .seconds, .metrics_json, .recorded_at}"""

PREDICTION: LiteralString = """node {.uid, steps_ahead: node.steps, .members, .forcing, .fidelity, .vrmse, .persistence,
  .violation_count, .created_at}"""

VIOLATION: LiteralString = "node {.uid, domain_name: node.domain, .law, .lead, .member, .value, .limit, .created_at}"

PREDICTION_LOG: LiteralString = """node {.uid, domain_name: node.domain, predicted_uid: node.predicted, .regime,
  .timestamp, .lead, .step, .predicted_mean, .observed_mean, .rmse, .persistence_rmse, .fidelity,
  .total_energy_fidelity, .field_fidelity, .entropy_pred, .entropy_obs, .entropy_share_pred, .entropy_share_obs,
  .model, .version, checkpoint_sha256: node.checkpoint, .agent, .recorded_at}"""

EVALUATION: LiteralString = """node {.uid, .fidelity, .fidelity_low, .fidelity_high, .fidelity_mean, .fidelity_median,
  .n, .vrmse, .persistence_vrmse, .linear_fidelity, .ridge_fidelity, .upwind_fidelity, .frozen_fidelity, .noise_ceiling,
  .rmse, .nrmse, .gradient_cosine, .change_gradient_cosine, .closure, .second_law_violations,
  .data_second_law_violations, .coverage90, .spread_skill, .crps, .drift, .left_out, .horizon,
  .scores_json, .created_at}"""

RELAXATION_OUTCOME: LiteralString = (
    "node {.status, .initial_energy, .energy, .residual, .steps, .accepted, .rejected, .backtracks, .delta_f90,"
    " .primal_residual, .dual_residual, .switches, .wall_seconds, .written_back, .spent, .budget, .snapped_energy,"
    " .graph_name, .graph_digest, .keys, .terms, .eta}"
)
RELAXATION_STEP: LiteralString = (
    "node {.uid, .run, .index, .energy, .gain, .scale, .gradient_norm, .step, .backtracks, .noise, .accepted, .margin,"
    " .eta, .term_energy, .term_norm, objective_version: coalesce(node.objective_version, 0),"
    " weights: coalesce(node.weights, []), events: coalesce(node.events, [])}"
)
ENERGY_BUDGET: LiteralString = (
    "node {.index, .energy, .gain, .scale, .accepted, .backtracks, .margin, .noise, .term_energy, .term_norm,"
    " names: COLLECT { MATCH (r:Run {uid: node.run}) RETURN r.terms }[0]}"
)
GATING_METRICS: LiteralString = """{gates: gates, opened: opened, ends_count: ends, hazard_mean: hazard_mean,
    expected_benefit: expected, measured: measured, realised_benefit: CASE WHEN measured > 0 THEN realised END,
    mu_hat: CASE WHEN measured > 0 THEN measured / (gained + 1e-9) END,
    good_bad_ratio: CASE WHEN measured > 0 THEN (good + 1e-6) / (measured - good + 1e-6) END}"""
SWEEP_OUTCOME: LiteralString = "node {.graph_name, .graph_digest, .axes, .keys, .points, .energy, .best, .wall_seconds}"
SWEEP_POINT: LiteralString = (
    "node {.uid, .run, .index, .at, .status, .initial_energy, .energy, .residual, .steps, .eta}"
)
EXPANSION_OUTCOME: LiteralString = (
    "node {.graph_name, .graph_digest, .gamma, .tau, .energy, .survivors, .applied, .version, .wall_seconds}"
)
EXPANSION_CANDIDATE: LiteralString = (
    "node {.uid, .run, .key, .index, .energy_before, .energy_after, .delta, .accepted, .survives,"
    " parent: [(node)-[:PARENT]->(p:OrderParameter) | p.key][0]}"
)
GATE_EVENT: LiteralString = (
    "node {.uid, .run, .graph, .key, .eta, .net, .hazard, .benefit, .cost, .opened, .refusal, .at, .realised,"
    " .realised_at, parents: [(node)-[:PARENT]->(p:GateEvent) | p.key]}"
)
MODULE_EVENT: LiteralString = "node {.uid, .graph, .key, .event, .version, .at, .source, .payload_json}"
