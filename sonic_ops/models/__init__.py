"""Networks of Sonic and the loading of their weights."""
