// The queue in the order of claims: higher priority first (rank = -priority), then what has been ready for longest.
CREATE INDEX index_Run_state_capability_rank_not_before IF NOT EXISTS FOR (n:Run) ON (n.state, n.capability, n.rank, n.not_before);
DROP INDEX index_Run_state_capability_created_at IF EXISTS;
MATCH (r:Run) WHERE r.state IN ['QUEUED', 'LEASED', 'RUNNING'] AND r.rank IS NULL
SET r.priority = 0, r.rank = 0, r.not_before = r.created_at;
