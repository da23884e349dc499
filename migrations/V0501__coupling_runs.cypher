// Points of a sweep in order, candidates, decisions of gates and events of order parameters by uid, events of a graph latest first.
CREATE CONSTRAINT constraint_unique_SweepPoint_uid IF NOT EXISTS FOR (n:SweepPoint) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_ExpansionCandidate_uid IF NOT EXISTS FOR (n:ExpansionCandidate) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_GateEvent_uid IF NOT EXISTS FOR (n:GateEvent) REQUIRE n.uid IS UNIQUE;
CREATE CONSTRAINT constraint_unique_ModuleEvent_uid IF NOT EXISTS FOR (n:ModuleEvent) REQUIRE n.uid IS UNIQUE;
CREATE INDEX index_SweepPoint_run_index IF NOT EXISTS FOR (n:SweepPoint) ON (n.run, n.index);
CREATE INDEX index_ModuleEvent_graph_uid IF NOT EXISTS FOR (n:ModuleEvent) ON (n.graph, n.uid);
