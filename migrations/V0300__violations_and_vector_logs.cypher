// What predictions violate and how they compared: one node each, listed latest first by domain, law or regime.
CREATE CONSTRAINT constraint_unique_Violation_uid IF NOT EXISTS FOR (n:Violation) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_PredictionLog_uid IF NOT EXISTS FOR (n:PredictionLog) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_PredictionLog_predicted IF NOT EXISTS FOR (n:PredictionLog) REQUIRE n.predicted IS UNIQUE;
CREATE INDEX index_Violation_domain_uid IF NOT EXISTS FOR (n:Violation) ON (n.domain, n.uid);
CREATE INDEX index_Violation_law_uid IF NOT EXISTS FOR (n:Violation) ON (n.law, n.uid);
CREATE INDEX index_PredictionLog_domain_uid IF NOT EXISTS FOR (n:PredictionLog) ON (n.domain, n.uid);
CREATE INDEX index_PredictionLog_regime_uid IF NOT EXISTS FOR (n:PredictionLog) ON (n.regime, n.uid);
