"""The trainer: plan, collect, update, checkpoint, evaluate, record."""
