"""The flows, their tasks, and the run that starts them."""
