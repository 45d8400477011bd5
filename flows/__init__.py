"""What happens in which order, and what is tried again: manifest, row, results, command line."""

DEFAULT_PRESET = "sketch"
