"""Paint people with a controlled head, mouth, eyes and brows."""
