"""Pages that are made from the code: `make docs` writes them, a test fails if one is old."""
