"""What is computed for one video: the graph of its jobs, and the worker that runs them."""
