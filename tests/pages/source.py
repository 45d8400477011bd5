"""Where the pages are, and the code they are made from."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent
LAYERS = ("flows", "cluster", "sonic_ops")


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it should be; `path` counts from the repository."""

    path: str
    text: str

    @property
    def is_up_to_date(self) -> bool:
        """Whether the file says what it should."""
        file = REPOSITORY / self.path
        return file.is_file() and file.read_text("utf-8") == self.text


def write(page: Page) -> None:
    """Write a page."""
    (REPOSITORY / page.path).write_text(page.text, "utf-8")
