"""Which rows of a manifest a command is for: some ids, the first so many, those that failed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from flows.rows.rows import BadRow, Row
from sonic_ops.core.errors import ManifestError

NOT_SELECTED: Final = "not selected"
"""What the results say of a row that the command was not for."""

SHOWN_IDS: Final = 5


@dataclass(slots=True)
class Selection:
    """The rows that are asked for; everything that is None asks for all.

    `failed` are id and output of the rows whose last result is a failure.
    """

    ids: Collection[str] | None = None
    limit: int | None = None
    failed: Collection[tuple[str, str | None]] | None = None
    num_taken: int = 0
    found: set[str] = field(default_factory=set)

    def wants(self, row: Row | BadRow) -> bool:
        """Tell whether a row is to be looked at; called from several threads."""
        if self.ids is not None and row.id not in self.ids:
            return False
        self.found.add(row.id)
        if self.failed is not None and (row.id, row.output or None) not in self.failed:
            return False
        return not self.is_full

    @property
    def is_full(self) -> bool:
        """Return whether as many rows were taken as are asked for."""
        return self.limit is not None and self.num_taken >= self.limit

    def take(self) -> bool:
        """Take a row that is to be rendered, unless there are enough of them."""
        if self.is_full:
            return False
        self.num_taken += 1
        return True

    def require_found(self, ids: Iterable[str]) -> None:
        """Raise ManifestError for an id that no row has; `ids` are those of the manifest."""
        if self.ids is None or not (missing := [id for id in self.ids if id not in self.found]):
            return
        known = list(ids)
        likely = get_close_matches(missing[0], known, n=1)
        some = ", ".join(known[:SHOWN_IDS])
        more = " ..." if len(known) > SHOWN_IDS else ""
        raise ManifestError(
            f"There is no row with the id {missing[0]!r}",
            remedy=f"Did you mean {likely[0]!r}?" if likely else f"The ids are {some}{more}.",
        )


def split_ids(given: Iterable[str]) -> list[str]:
    """Split `a,b` and several options into ids."""
    return [id.strip() for text in given for id in text.split(",") if id.strip()]
