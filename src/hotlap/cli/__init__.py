"""One file per command: parse, build, run, print."""
