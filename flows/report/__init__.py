"""The report of a run: one file beside the results that shows every video, and how good it is."""
