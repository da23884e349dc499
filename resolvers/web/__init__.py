"""The web around the API: who may come in, arrays and images, GraphiQL, health and figures."""
