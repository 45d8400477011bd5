"""CSV as spreadsheets write it, line by line: one broken line is one broken record.

The standard library reads the cells. What stands here finds the separator, and goes on below a line
whose quotation marks do not fit, which a table reader would refuse or read to the end of the file.
"""

import csv
import re
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice

from flows.rows.limits import MAX_LINE

SEPARATORS = ",;\t|"
HEADER_LINES = 100
MAX_LINES = 1000
"""Lines that a record may have: one that seems longer has a quotation mark too few."""
_PROBLEM = 'has a quotation mark (") too many or too few: inside a quoted cell, write it twice'
_LONG = f"has more than {MAX_LINE:,} characters"
_SEP = re.compile(r'\s*"?sep=(.)"?,*\s*', re.IGNORECASE)

_COMMENT = re.compile(r'\s*"?#(\s|$)')
"""A column may be called `#`: a comment has a blank after it."""

csv.field_size_limit(sys.maxsize)  # a cell may hold a whole transcript


class _TooLongError(csv.Error):
    """A record has more characters than a row may have."""


class _Lines:
    """Lines of a file that can be gone back to as far as the record that is being read."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines, self._again = iter(lines), deque[str]()
        self.record: list[str] = []
        self._length = self.number = 0

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if len(self.record) >= MAX_LINES:
            raise csv.Error("a record is too long")
        line = self._again.popleft() if self._again else next(self._lines)
        self.record.append(line)
        self._length += len(line)
        self.number += 1
        if self._length > MAX_LINE:
            raise _TooLongError
        return line

    def begin(self) -> int:
        """Begin a record; the number of its first line."""
        self.record.clear()
        self._length = 0
        return self.number + 1

    def go_back(self, num_read: int = 1) -> None:
        """Read the record again, but for its first lines."""
        again = self.record[num_read:]
        self._again.extendleft(reversed(again))
        self.number -= len(again)
        self.record.clear()


def csv_records(
    lines: Iterable[str], is_header: Callable[[list[object]], bool]
) -> Iterator[tuple[int, list[object], str | None]]:
    """Read the records with the number of their first line, and what is wrong with it.

    The separator is the one that makes a header of one of the first lines.
    """
    source = _Lines(lines)
    separator = _separator(source, is_header)
    while True:
        number = source.begin()
        try:
            for values in csv.reader(source, delimiter=separator, strict=True):
                yield number, list(values), None
                number = source.begin()
            return
        except csv.Error as error:
            is_long = isinstance(error, _TooLongError) and len(source.record) == 1
            source.go_back()
            yield number, [], _LONG if is_long else _PROBLEM


def without_comments(lines: Iterable[str]) -> Iterator[str]:
    """Give empty lines for the comments above the header, so that all others keep their number.

    Below the header there are none: a cell of several lines may hold anything.
    """
    lines = iter(lines)
    for line in lines:
        is_comment = _COMMENT.match(line)
        yield "\n" if is_comment else line
        if line.strip() and not is_comment and not _SEP.fullmatch(line.strip("\r\n")):
            break
    yield from lines


def _separator(source: _Lines, is_header: Callable[[list[object]], bool]) -> str:
    """Find the separator; a line `sep=;` of Excel says it, and is no record."""
    source.begin()
    first: list[str] = []
    with suppress(_TooLongError):
        first += islice(source, HEADER_LINES)
    said = _SEP.fullmatch(first[0].strip("\r\n")) if first else None
    source.go_back(1 if said else 0)
    if said:
        return said[1]
    for start in range(len(first)):
        for separator in SEPARATORS:
            values = next(csv.reader(first[start:], delimiter=separator), [])
            if is_header(list(values)):
                return separator
    return max(SEPARATORS, key=(first or [""])[0].count)
