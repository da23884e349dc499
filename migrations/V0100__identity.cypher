// One node per identity: uniqueness constraints come before any writer, or MERGE would make twins.
CREATE CONSTRAINT constraint_unique_Domain_name IF NOT EXISTS FOR (n:Domain) REQUIRE n.name IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Sequence_uid IF NOT EXISTS FOR (n:Sequence) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Segment_uid IF NOT EXISTS FOR (n:Segment) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Split_uid IF NOT EXISTS FOR (n:Split) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_EnergySnapshot_uid IF NOT EXISTS FOR (n:EnergySnapshot) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Run_uid IF NOT EXISTS FOR (n:Run) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Run_dedup_key IF NOT EXISTS FOR (n:Run) REQUIRE n.dedup_key IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Model_uid IF NOT EXISTS FOR (n:Model) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Checkpoint_uid IF NOT EXISTS FOR (n:Checkpoint) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Epoch_uid IF NOT EXISTS FOR (n:Epoch) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Prediction_uid IF NOT EXISTS FOR (n:Prediction) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Evaluation_uid IF NOT EXISTS FOR (n:Evaluation) REQUIRE n.uid IS UNIQUE;
