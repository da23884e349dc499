// Similar states: one vector index per origin, so that predictions never crowd out what was measured.
CREATE VECTOR INDEX vector_index_Observed_descriptor IF NOT EXISTS FOR (n:Observed) ON (n.descriptor)
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine'}};
CREATE VECTOR INDEX vector_index_Simulated_descriptor IF NOT EXISTS FOR (n:Simulated) ON (n.descriptor)
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine'}};
CREATE VECTOR INDEX vector_index_Predicted_descriptor IF NOT EXISTS FOR (n:Predicted) ON (n.descriptor)
OPTIONS {indexConfig: {`vector.dimensions`: 64, `vector.similarity_function`: 'cosine'}};
