// Hypotheses by claim, latest first by domain or verdict; stages of a run in order, votes by uid.
CREATE CONSTRAINT constraint_unique_Hypothesis_uid IF NOT EXISTS FOR (n:Hypothesis) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Hypothesis_key IF NOT EXISTS FOR (n:Hypothesis) REQUIRE n.key IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Stage_uid IF NOT EXISTS FOR (n:Stage) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Vote_uid IF NOT EXISTS FOR (n:Vote) REQUIRE n.uid IS UNIQUE;
CREATE INDEX index_Hypothesis_domain_uid IF NOT EXISTS FOR (n:Hypothesis) ON (n.domain, n.uid);
CREATE INDEX index_Hypothesis_verdict_uid IF NOT EXISTS FOR (n:Hypothesis) ON (n.verdict, n.uid);
CREATE INDEX index_Stage_run_round_position IF NOT EXISTS FOR (n:Stage) ON (n.run, n.round, n.position);
