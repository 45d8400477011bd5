"""`python -m flows` is the `sonic` command."""

from flows.cli import main

main()
