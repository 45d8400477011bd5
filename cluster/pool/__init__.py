"""Where jobs run: in this process or on Ray actors, and what happens when a worker dies."""
