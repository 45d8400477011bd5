"""Tables that commands write into pages, between two marks that name them.

`<!-- speed: made by `make bench` -->` stands above the table `speed`, `<!-- /speed -->` below it;
what follows the colon is for the reader of the page, and stays as it is.
"""

import os
import platform
import re
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import torch

import sonic_ops
from sonic_ops.core.native import native_dtype

REPOSITORY = Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "tests" / "bench" / "RESULTS.md"


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


def origin(command: str) -> str:
    """Where figures come from, as a line for a page: command, commit, machine, versions."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude=*"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    where = f"{os.cpu_count()} cores, {platform.machine()}, native {native_dtype('cpu')}"
    at = f"commit {commit}" if commit else "outside of git"
    versions = f"torch {torch.__version__}, sonic-render {sonic_ops.__version__}"
    return f"`{command}`, {time.strftime('%Y-%m-%d')}, {at}, {where}, {versions}."
