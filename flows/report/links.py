"""Links to reports that a browser opens, from Prefect's pages and from messages."""

import os
from pathlib import Path
from typing import Final
from urllib.parse import quote

from flows import urls
from flows.state.results import report_url
from sonic_ops.core.files import exists, reached

SERVED: Final = "SONIC_SERVED"
"""The variable that says where a folder can be seen: FOLDER=URL, several with spaces between."""
SIGNED_S: Final = 7 * 24 * 3600


def link_to_report(results: str) -> str | None:
    """Link to the report of a results table; None if there is none."""
    report = report_url(results)
    return link_of(report) if exists(report) else None


def link_of(target: str) -> str:
    """Link to a file: where its folder is served, signed in a bucket, or on the disk."""
    for folder, url in _served():
        if target.startswith(f"{folder}/"):
            return f"{url}/{quote(target.removeprefix(f'{folder}/'))}"
    return _signed(target) if urls.is_remote(target) else Path(target).as_uri()


def _served() -> list[tuple[str, str]]:
    pairs = (entry.rpartition("=http") for entry in os.environ.get(SERVED, "").split())
    return [(folder.rstrip("/"), f"http{url.rstrip('/')}") for folder, _, url in pairs if folder]


def _signed(target: str) -> str:
    """Return a URL of a file in a bucket for as long as the store allows; else itself."""
    try:
        with reached(target) as (filesystem, path):
            return str(filesystem.sign(path, expiration=SIGNED_S))
    except (OSError, NotImplementedError):
        return target
