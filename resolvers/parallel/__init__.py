"""Independent tasks of one run: in its own child, or side by side on Dask."""
