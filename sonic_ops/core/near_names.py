"""Ask for what a wrong name may mean."""

from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path

LIKE = 0.75
"""How alike two names must be, by `difflib`, for one to be taken for the other."""


def meant(path: str) -> str:
    """Ask for the file beside a missing one whose name is nearly the same; empty if none is."""
    wanted = Path(path)
    with suppress(OSError, ValueError):
        if not wanted.exists():
            names = [entry.name for entry in wanted.parent.iterdir()]
            if likely := get_close_matches(wanted.name, names, n=1, cutoff=LIKE):
                shown = likely[0].encode(errors="surrogateescape").decode(errors="replace")
                return f"Did you mean {shown}? "
    return ""
