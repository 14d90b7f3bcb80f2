"""Resurvey: survey archives to catalogues and figures with neural networks."""

__version__ = "0.1.0"
