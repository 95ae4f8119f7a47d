"""Films of driven trials, frame by frame."""
