// Lookups: arrays by hash, keyset pages per origin, time windows, the queue.
CREATE INDEX index_Segment_sha256 IF NOT EXISTS FOR (n:Segment) ON (n.sha256);
CREATE INDEX index_Split_name IF NOT EXISTS FOR (n:Split) ON (n.name);
CREATE INDEX index_EnergySnapshot_sha256 IF NOT EXISTS FOR (n:EnergySnapshot) ON (n.sha256);
CREATE INDEX index_EnergySnapshot_context_sha256 IF NOT EXISTS FOR (n:EnergySnapshot) ON (n.context_sha256);
CREATE INDEX index_Predicted_spread_sha256 IF NOT EXISTS FOR (n:Predicted) ON (n.spread_sha256);
CREATE INDEX index_Checkpoint_sha256 IF NOT EXISTS FOR (n:Checkpoint) ON (n.sha256);
CREATE INDEX index_EnergySnapshot_sequence_t_index IF NOT EXISTS FOR (n:EnergySnapshot) ON (n.sequence, n.t_index);
CREATE INDEX index_Observed_domain_t_index_uid IF NOT EXISTS FOR (n:Observed) ON (n.domain, n.t_index, n.uid);
CREATE INDEX index_Simulated_domain_t_index_uid IF NOT EXISTS FOR (n:Simulated) ON (n.domain, n.t_index, n.uid);
CREATE INDEX index_Predicted_domain_t_index_uid IF NOT EXISTS FOR (n:Predicted) ON (n.domain, n.t_index, n.uid);
CREATE INDEX index_Observed_uid IF NOT EXISTS FOR (n:Observed) ON (n.uid);
CREATE INDEX index_Simulated_uid IF NOT EXISTS FOR (n:Simulated) ON (n.uid);
CREATE INDEX index_Predicted_uid IF NOT EXISTS FOR (n:Predicted) ON (n.uid);
CREATE INDEX index_Sequence_domain_uid IF NOT EXISTS FOR (n:Sequence) ON (n.domain, n.uid);
CREATE INDEX index_Run_state_capability_created_at IF NOT EXISTS FOR (n:Run) ON (n.state, n.capability, n.created_at);
CREATE INDEX index_Model_domain_uid IF NOT EXISTS FOR (n:Model) ON (n.domain, n.uid);
CREATE INDEX index_Checkpoint_model_step IF NOT EXISTS FOR (n:Checkpoint) ON (n.model, n.step);
CREATE INDEX index_Evaluation_domain_uid IF NOT EXISTS FOR (n:Evaluation) ON (n.domain, n.uid);
