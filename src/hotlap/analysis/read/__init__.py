"""Reads any run, of hotlap or of the original: files, tables, episodes, iterations, the track."""
