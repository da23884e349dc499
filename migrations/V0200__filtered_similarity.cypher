// Similar states within one domain, or outside one sequence: the vector indexes know both, so that a filter does not
// have to throw away what the search has found.
DROP INDEX vector_index_Observed_descriptor IF EXISTS;
DROP INDEX vector_index_Simulated_descriptor IF EXISTS;
DROP INDEX vector_index_Predicted_descriptor IF EXISTS;
CYPHER 25 CREATE VECTOR INDEX vector_index_Observed_descriptor IF NOT EXISTS
FOR (n:Observed) ON (n.descriptor) WITH [n.domain, n.sequence]
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine'}};
CYPHER 25 CREATE VECTOR INDEX vector_index_Simulated_descriptor IF NOT EXISTS
FOR (n:Simulated) ON (n.descriptor) WITH [n.domain, n.sequence]
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine'}};
CYPHER 25 CREATE VECTOR INDEX vector_index_Predicted_descriptor IF NOT EXISTS
FOR (n:Predicted) ON (n.descriptor) WITH [n.domain]
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine'}};
