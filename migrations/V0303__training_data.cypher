// Which models were trained on these frames: one lookup.
CREATE INDEX index_Model_data_digest IF NOT EXISTS FOR (n:Model) ON (n.data_digest);
