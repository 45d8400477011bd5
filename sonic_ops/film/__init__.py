"""Dub a film: find its shots, follow a face, and put new pixels into every frame of it."""
