"""Decode and encode the beginning of a video while the rest is denoised; hand it on in order."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from threading import BoundedSemaphore

from cluster.pool.base import Pool, Ref
from cluster.storage import artifacts
from cluster.video.finishing import Finishing
from cluster.video.jobs import VideoRequest
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import Segment, cut_segments
from sonic_ops.sampling.decoding import frames_read

OnEncoded = Callable[[str], None]
"""Called with the URL of each encoded segment, in their order, by a thread of its own."""


class Streaming(AbstractContextManager["Streaming"]):
    """Encodes segments as soon as the latents that they need are on their way.

    `sources` are the segments of the latents. At most two per worker are under way.
    """

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        sources: tuple[Segment, ...],
        on_encoded: OnEncoded,
    ) -> None:
        self._pool, self._request, self._config = pool, request, config
        self._sources, self._on_encoded = sources, on_encoded
        self._segments = cut_segments(request.num_frames, config.segment_frames)
        self._existing = artifacts.existing(map(request.encoded, self._segments))
        # No segment waits for the next one: its first frame is decoded twice.
        self._finishing = Finishing(pool, request, config, self._segments, [], sources)
        self._num_submitted = 0
        self._room = BoundedSemaphore(2 * pool.num_workers)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="live")
        self._handed_on: list[Future[None]] = []

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    @property
    def num_first(self) -> int:
        """Return how many segments of latents the first encoded segment needs."""
        return sum(source.start < self._need(self._segments[0]) for source in self._sources)

    def follow(self, front: int, refs: dict[int, Ref]) -> None:
        """Encode what the latents before `front` are enough for; `refs` are those under way.

        Raises what handing on has raised.
        """
        self._finishing.latents.update(refs)
        whole = front == len(self._sources)
        known = self._request.num_frames if whole else self._sources[front].start
        while self._num_submitted < len(self._segments):
            segment = self._segments[self._num_submitted]
            if self._need(segment) > known:
                return
            self._room.acquire()
            self._raise()
            url, ref = self._request.encoded(segment), None
            if url not in self._existing:
                ref = self._finishing.encode(segment)
            self._num_submitted += 1
            self._handed_on.append(self._thread.submit(self._hand_on, url, ref))

    def end(self) -> None:
        """Encode the rest, whose latents are finished, and wait until all is handed on."""
        self.follow(len(self._sources), {})
        for handed_on in self._handed_on:
            handed_on.result()

    def _hand_on(self, url: str, ref: Ref | None) -> None:
        try:
            if ref is not None:
                self._pool.get([ref])
            self._raise()  # nothing follows a segment that is missing
            self._on_encoded(url)
        finally:
            self._room.release()

    def _raise(self) -> None:
        for handed_on in self._handed_on:
            if handed_on.done():
                handed_on.result()

    def _need(self, segment: Segment) -> int:
        """Return the end of the frames that a segment is decoded from, with the one after it."""
        num_frames = self._request.num_frames
        shown = range(segment.start, min(segment.stop + 1, num_frames))
        return frames_read(shown, num_frames, self._config.decoding).stop
