"""Whether a row can be watched while it renders: for `--live`."""

from pathlib import Path

from flows import urls
from flows.preflight.identity import local_path
from flows.preflight.outputs import FREE
from flows.rows.config import RenderConfig
from flows.rows.rows import Row
from sonic_ops.core.errors import FieldError
from sonic_ops.core.formats import WATCHED_CODECS, format_of

PLAYLIST_SIGN = "## sonic-render"
"""The comment by which a playlist of this program is known."""


def playlist_of(output: str) -> Path:
    """Name the playlist of a local output, in a folder beside it."""
    path = Path(local_path(output) or output)
    return path.with_name(f"{path.name}.live") / "index.m3u8"


def require_watchable(row: Row, config: RenderConfig) -> None:
    """Raise FieldError if a row cannot be published while it renders."""
    form = format_of(row.output)
    if row.video is not None:
        raise _refused("a film that is dubbed", "video")
    if urls.is_remote(row.output):
        raise _refused("a remote output", "output", "write to a local folder")
    if form.is_animation or form.codec(config.media.codec) not in WATCHED_CODECS:
        raise _refused("this format", "output", "write an MP4 file")
    if config.fusion != "every_step":
        raise _refused("a video with `fusion: at_end`", None, "set fusion to every_step")
    if config.media.colour_correction:
        raise _refused(
            "a video with `media.colour_correction`, which needs all frames",
            None,
            "set it to false",
        )
    playlist = playlist_of(row.output)
    if not (config.overwrite or _is_free(playlist)):
        raise FieldError(
            f"{playlist.parent} already exists and was not written by this program",
            remedy=FREE,
            field="output",
        )


def _refused(what: str, field: str | None, instead: str | None = None) -> FieldError:
    return FieldError(
        f"{what} cannot be watched while it renders",
        remedy=f"Render it without --live{f', or {instead}' if instead else ''}.",
        field=field,
    )


def _is_free(playlist: Path) -> bool:
    """Tell whether a folder is new, or holds a playlist of this program."""
    try:
        return PLAYLIST_SIGN in playlist.read_text("utf-8", "replace").splitlines()[:4]
    except FileNotFoundError:
        return not playlist.parent.exists()
    except OSError:
        return False
