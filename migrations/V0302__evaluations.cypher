// The best evaluations of a domain, and those of domains that a network never saw.
CREATE INDEX index_Evaluation_domain_fidelity IF NOT EXISTS FOR (n:Evaluation) ON (n.domain, n.fidelity);
CREATE INDEX index_Evaluation_left_out IF NOT EXISTS FOR (n:Evaluation) ON (n.left_out);
