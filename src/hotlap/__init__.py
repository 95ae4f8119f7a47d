"""hotlap: train a self-driving race car that sees only through its camera."""

__version__ = "0.1.0"
