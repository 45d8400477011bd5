"""Encode, stitch and mux video files, and read them back."""
