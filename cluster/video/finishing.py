"""From latents to encoded segments: decode, interpolate across segment borders, encode."""

from cluster.pool.base import Pool, Ref
from cluster.video.jobs import DecodeJob, EncodeJob, VideoRequest
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import Segment, num_output_frames_of
from sonic_ops.sampling.decoding import frames_read


class Finishing:
    """From latents to encoded segments; a frame at a border is decoded once.

    `sources` are the segments of the latents, which may be cut elsewhere.
    """

    def __init__(
        self,
        pool: Pool,
        request: VideoRequest,
        config: VideoConfig,
        segments: tuple[Segment, ...],
        todo: list[Segment],
        sources: tuple[Segment, ...],
    ) -> None:
        self.pool, self.request, self.config = pool, request, config
        self.segments, self.sources = segments, sources
        self.todo = {segment.index for segment in todo}
        self.decoded: dict[int, tuple[Ref, ...]] = {}
        self.latents: dict[int, Ref] = {}
        """The latents that may still be on their way, by their segment."""

    def encode(self, segment: Segment) -> Ref:
        """Encode a segment; return the ref of its URL.

        Of a segment after it that is not in `todo`, the first frame is decoded alone.
        """
        frames, _ = self._decode(segment)
        following = self._first_after(segment)
        self.decoded.pop(segment.index)
        request, fps = self.request, self.config.media.fps
        num_output_frames = num_output_frames_of(request.num_samples, fps)
        output = segment.output_frames(request.num_frames, num_output_frames, fps)
        job = EncodeJob(
            segment,
            output.start,
            output.stop,
            request.encoded(segment),
            self.config.media,
            request.portrait,
            request.backdrop,
            request.footage,
            request.start_s,
            request.correction if self.config.media.colour_correction else None,
            request.label,
        )
        affinity = (request.order, segment.index)
        return self.pool.submit(
            "encode", job, frames, following, affinity=affinity, persistent=True
        )[0]

    def _first_after(self, segment: Segment) -> Ref | None:
        """Return the first frame of the next segment, decoded alone if the rest is not to do."""
        if segment.index + 1 == len(self.segments):
            return None
        following = self.segments[segment.index + 1]
        if following.index in self.todo:
            return self._decode(following)[1]
        return self._submit_decode(following, following.start + 1)[1]

    def _decode(self, segment: Segment) -> tuple[Ref, ...]:
        if segment.index not in self.decoded:
            self.decoded[segment.index] = self._submit_decode(segment, segment.stop)
        return self.decoded[segment.index]

    def _submit_decode(self, segment: Segment, stop: int) -> tuple[Ref, ...]:
        request, decoding = self.request, self.config.decoding
        read = frames_read(range(segment.start, stop), request.num_frames, decoding)
        around = tuple(s for s in self.sources if s.start < read.stop and s.stop > read.start)
        job = DecodeJob(
            segment.start,
            stop,
            request.num_frames,
            around,
            tuple(map(request.latents, around)),
            request.portrait,
            self.config.media.interpolation == "layers",
            decoding,
            self.config.low_memory,
            request.low_memory_note("decode", segment),
        )
        refs = [self.latents[s.index] for s in around if s.index in self.latents]
        return self.pool.submit(
            "decode", job, *refs, affinity=(request.order, segment.index), num_returns=2
        )
