"""Tables that commands write into pages, between two marks that name them.

`<!-- speed: made by `make bench` -->` stands above the table `speed`, `<!-- /speed -->` below it;
what follows the colon is for the reader of the page, and stays as it is.
"""

import re
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
README, LOG = REPOSITORY / "README.md", REPOSITORY / "tests" / "bench" / "LOG.md"


def write_table(page: Path, name: str, lines: Sequence[str]) -> None:
    """Put lines between the marks of a table. Raises ValueError unless both are there once."""
    page.write_text(replaced(page.read_text("utf-8"), name, lines, str(page)), "utf-8")


def replaced(text: str, name: str, lines: Sequence[str], page: str) -> str:
    """A text with lines between the marks of a table. Raises ValueError as `write_table`."""
    first = re.compile(rf"^<!-- {re.escape(name)}(: .*)? -->\n", re.MULTILINE)
    last = re.compile(rf"^<!-- /{re.escape(name)} -->$", re.MULTILINE)
    begins, ends = list(first.finditer(text)), list(last.finditer(text))
    if len(begins) != 1 or len(ends) != 1 or ends[0].start() < begins[0].end():
        raise ValueError(f"{page} needs one line <!-- {name} -->, and <!-- /{name} --> after it")
    body = "".join(f"{line}\n" for line in lines)
    return f"{text[: begins[0].end()]}{body}{text[ends[0].start() :]}"
