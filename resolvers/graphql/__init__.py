"""The GraphQL API: root fields, loaders, the progress hub, and the limits that keep a query from costing too much."""
