"""Check every row before anything is computed."""
