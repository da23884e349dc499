"""The atlas without a graph: energy maps in a folder, their loader, pyramids and gradients."""
