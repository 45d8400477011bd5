"""Read the manifest and the preset, and plan the work of each row."""
