"""Make and read shards of training data."""
