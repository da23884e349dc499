"""The command line: `fieldgraph COMMAND`."""
