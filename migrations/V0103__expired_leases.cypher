// Expired leases: what reapers look for every few seconds.
CREATE INDEX index_Run_state_lease_until IF NOT EXISTS FOR (n:Run) ON (n.state, n.lease_until);
