// Coupling graphs by name, what is drawn by uid once it has one, a relaxation's steps in order.
CREATE CONSTRAINT constraint_unique_CouplingGraph_name IF NOT EXISTS FOR (n:CouplingGraph) REQUIRE n.name IS UNIQUE;
CREATE CONSTRAINT constraint_unique_CouplingGraph_uid IF NOT EXISTS FOR (n:CouplingGraph) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_OrderParameter_uid IF NOT EXISTS FOR (n:OrderParameter) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_RelaxationStep_uid IF NOT EXISTS FOR (n:RelaxationStep) REQUIRE n.uid IS UNIQUE;
CREATE INDEX index_RelaxationStep_run_index IF NOT EXISTS FOR (n:RelaxationStep) ON (n.run, n.index);
