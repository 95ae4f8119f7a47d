"""The words and numbers of the system that hotlap is compatible with, each once; loads nothing."""
