"""Publish a row while it renders: for `--live`."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

from cluster.storage import artifacts
from cluster.video.streaming import OnEncoded
from flows.pipeline.audio_sources import soundtrack_of
from flows.pipeline.runs import RowRun
from flows.preflight.live import PLAYLIST_SIGN, playlist_of
from sonic_ops.core.constants import MODEL_FPS
from sonic_ops.core.formats import format_of
from sonic_ops.media.live import LivePlaylist
from sonic_ops.provenance.marks import tags_of

_log = logging.getLogger(__name__)


@contextmanager
def published(row: RowRun) -> Iterator[OnEncoded]:
    """Take encoded segments in their order and publish them; without an error, end the playlist.

    A call after a crash begins the playlist anew, with the same parts.
    """
    config, target, started_s = row.config, playlist_of(row.output), time.monotonic()
    tags = tags_of(format_of(row.output)) if config.provenance.mark else {}
    with LivePlaylist(
        target,
        soundtrack_of(row),
        fps=config.media.fps,
        longest_s=Fraction(config.segment_frames) / MODEL_FPS,
        sign=PLAYLIST_SIGN,
        tags=tags,
    ) as playlist:

        def publish(url: str) -> None:
            is_first = not playlist.num_parts
            with artifacts.fetched_whole(url) as path:
                playlist.append(path)
            if is_first:
                row.run.reporter.say(f"{row.id}: watch it now: {target}")
                _log.info("live: the first part after %.1f s", time.monotonic() - started_s)

        yield publish
        playlist.end()
        watch = playlist.watch
        _log.info("live: %d stalls, %.1f s in all", watch.num_stalls, watch.stalled_s)
