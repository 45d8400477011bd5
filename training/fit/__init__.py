"""Train the networks of the embedded model, stage by stage."""
