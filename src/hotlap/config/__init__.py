"""Everything a user may set, as checked models. Loads neither torch nor warp."""
