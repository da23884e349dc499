// One certificate per run, in one chain without forks: two that follow the same one cannot both be written.
CREATE CONSTRAINT constraint_unique_Certificate_uid IF NOT EXISTS FOR (n:Certificate) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Certificate_run IF NOT EXISTS FOR (n:Certificate) REQUIRE n.run IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Certificate_number IF NOT EXISTS FOR (n:Certificate) REQUIRE n.number IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Certificate_digest IF NOT EXISTS FOR (n:Certificate) REQUIRE n.digest IS UNIQUE;
CREATE CONSTRAINT constraint_unique_Certificate_previous_digest IF NOT EXISTS FOR (n:Certificate) REQUIRE n.previous_digest IS UNIQUE;
