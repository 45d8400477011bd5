"""What happens in which order, and what is tried again: manifest, row, results, command line."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flows.state.results import RowResult

__all__ = ["DEFAULT_PRESET", "render"]

DEFAULT_PRESET = "lite"


def render(
    manifest: str | Path,
    *,
    preset: str = DEFAULT_PRESET,
    output: str | Path | None = None,
    work: str | None = None,
) -> "list[RowResult]":
    """Render every row of a manifest, as `sonic render` does, and return a result per row.

    Raises ManifestError and ConfigError before anything is computed; a row that fails is a result.
    """
    from flows.console.terminal import open_terminal
    from flows.pipeline.run import RunRequest, results_of
    from flows.urls import resolve

    here = str(Path.cwd())
    folder, work = (None if path is None else resolve(str(path), here) for path in (output, work))
    request = RunRequest(resolve(str(manifest), here), preset, folder, work)
    return results_of(request, open_terminal())
