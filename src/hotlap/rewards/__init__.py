"""Load, check, call and profile a user's reward function; shipped examples."""
