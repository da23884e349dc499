// What finished runs took, by kind: time and energy, what was measured apart from what was estimated.
CREATE INDEX index_Run_kind_state_finished_at IF NOT EXISTS FOR (n:Run) ON (n.kind, n.state, n.finished_at);
MATCH (r:Run) WHERE r.finished_at IS NOT NULL AND r.started_at IS NOT NULL AND r.seconds IS NULL
SET r.seconds = duration.inSeconds(r.started_at, r.finished_at).milliseconds / 1000.0;
MATCH (r:Run) WHERE r.energy_source STARTS WITH 'estimated' AND r.energy_estimated IS NULL
SET r.energy_estimated = r.energy_joules;
