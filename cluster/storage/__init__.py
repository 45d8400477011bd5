"""Read inputs and store the results of jobs as checked files."""
