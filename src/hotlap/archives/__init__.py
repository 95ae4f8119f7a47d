"""Archives of strangers: what is wanted of a tar or zip, and nothing else."""
