"""What cars see: a table of sensors, each with its shape and how it is read of a simulator."""
