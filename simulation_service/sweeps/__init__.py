"""Sweeps: one simulation under every set of a grid of parameters. Where it begins: `sweep.py`."""
