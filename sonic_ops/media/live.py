"""A video to watch while it is rendered: an HLS playlist, whose parts are fragmented MP4.

A part is an encoded segment with its audio. It is a file of its own, written by FFmpeg's muxer for
MP4; all parts share one header. The playlist names a part when its file is complete.
"""

import io
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from fractions import Fraction
from heapq import merge
from pathlib import Path

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer

from sonic_ops.core.containers import open_own_container
from sonic_ops.core.files import draft_of
from sonic_ops.core.formats import format_of
from sonic_ops.media.languages import track_language
from sonic_ops.media.muxing import AnyPacket, copied_stream, decode_time, segment_packets
from sonic_ops.media.soundtrack import Soundtrack, add_audio

FORM = format_of("part.mp4")

START_S = Fraction(1)
"""When the first frame is shown: decoding, and audio that its encoder puts in front, need a time
before it that is not negative."""

_OPTIONS = {
    "fflags": "+bitexact",
    "movflags": "+empty_moov+default_base_moof+frag_custom+frag_discont+skip_trailer",
    # The times in a part are those of the whole video: nothing is moved, by no means.
    "use_editlist": "0",
    "avoid_negative_ts": "disabled",
}


class LivePlaylist(AbstractContextManager["LivePlaylist"]):
    """Publishes encoded segments in their order, with the audio of the video.

    `longest_s` is how long the longest of them is, `sign` a comment in the playlist. Raises
    MissingFileError or AudioUnreadableError.
    """

    def __init__(
        self,
        playlist: Path,
        track: Soundtrack,
        *,
        fps: Fraction,
        longest_s: Fraction,
        sign: str,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.num_parts = 0
        self._playlist, self._fps, self._tags = playlist, fps, dict(tags or {})
        self._lines = [
            "#EXTM3U",
            sign,
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{math.ceil(longest_s)}",
            "#EXT-X-PLAYLIST-TYPE:EVENT",
            "#EXT-X-INDEPENDENT-SEGMENTS",
        ]
        self._num_frames = 0
        self._audio = _Audio(track)
        self.watch = StallWatch()

    def __exit__(self, *_: object) -> None:
        self._audio.close()

    def append(self, segment: Path) -> None:
        """Publish one more encoded segment. Raises OSError, and what reading the audio raises."""
        content, num_frames = self._muxed(segment)
        split = _size_of_header(content)
        if not self.num_parts:
            self._begin(content[:split])
        name = f"{self.num_parts:05}.m4s"
        with draft_of(self._playlist.parent / name) as draft:
            draft.write_bytes(content[split:])
        self.num_parts, self._num_frames = self.num_parts + 1, self._num_frames + num_frames
        duration_s = num_frames / self._fps
        self._lines += [f"#EXTINF:{float(duration_s):.6f},", name]
        self._write()
        self.watch.published(float(duration_s))

    def end(self) -> None:
        """Say that no part will follow, and remove those of an earlier, longer playlist."""
        self._lines.append("#EXT-X-ENDLIST")
        self._write()
        for part in self._playlist.parent.glob("*.m4s"):
            if part.name not in self._lines:
                part.unlink()

    def _begin(self, header: bytes) -> None:
        self._playlist.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(self._playlist.parent / "init.mp4") as draft:
            draft.write_bytes(header)
        self._lines.append('#EXT-X-MAP:URI="init.mp4"')

    def _write(self) -> None:
        with draft_of(self._playlist) as draft:
            draft.write_text("\n".join([*self._lines, ""]), "utf-8")

    def _muxed(self, segment: Path) -> tuple[bytes, int]:
        """Return a segment with its audio as fragmented MP4, and how many frames it has."""
        buffer = io.BytesIO()
        options = _OPTIONS | {"fragment_index": str(self.num_parts + 1)}
        with (
            open_own_container(segment) as source,
            av.open(buffer, "w", format="mp4", options=options) as output,
        ):
            output.metadata.update(self._tags)
            stream = copied_stream(output, source.streams.video[0])
            first = self._num_frames + round(START_S * self._fps)
            packets = list(segment_packets(source, stream, first, self._fps))
            stop_s = (first + len(packets)) / self._fps
            for packet in merge(packets, self._audio.until(stop_s, output), key=decode_time):
                output.mux(packet)
        return buffer.getvalue(), len(packets)


class _Audio:
    """The packets of a track, encoded as they are asked for, for parts that follow each other."""

    def __init__(self, track: Soundtrack) -> None:
        self._stack = ExitStack()
        # A file that nobody reads: the stream of an encoder needs one.
        self._scratch = self._stack.enter_context(av.open(io.BytesIO(), "w", format="mp4"))
        language = track_language(track.language, FORM.muxer) if track.language else None
        self._language = language
        self._packets = add_audio(self._scratch, FORM, track, language)
        self._scratch.start_encoding()  # until then a stream does not know how it is decoded
        (self._template,) = self._scratch.streams.audio
        self._next: AnyPacket | None = next(self._packets, None)

    def until(self, stop_s: Fraction, output: OutputContainer) -> Iterator[AnyPacket]:
        """Add a stream for the audio, and return its packets before `stop_s` of the playlist."""
        stream = output.add_stream_from_template(self._template, opaque=True)
        assert isinstance(stream, AudioStream)
        if self._language:
            stream.metadata["language"] = self._language
        return self._taken(stop_s, stream)

    def _taken(self, stop_s: Fraction, stream: AudioStream) -> Iterator[AnyPacket]:
        while (packet := self._next) is not None:
            later = round(START_S / packet.time_base)
            if decode_time(packet) + START_S >= stop_s:
                return
            assert packet.dts is not None
            assert packet.pts is not None
            packet.dts, packet.pts = packet.dts + later, packet.pts + later
            packet.stream = stream
            self._next = next(self._packets, None)
            yield packet

    def close(self) -> None:
        """Forget the encoder."""
        self._stack.close()


class StallWatch:
    """Counts how often a player that began with the first part had to wait for another one."""

    def __init__(self) -> None:
        self.num_stalls, self.stalled_s = 0, 0.0
        self._shown_until_s: float | None = None

    def published(self, duration_s: float) -> None:
        """Note that a part of some length is there now."""
        now_s = time.monotonic()
        if self._shown_until_s is None:
            self._shown_until_s = now_s
        if now_s > self._shown_until_s:
            self.num_stalls += 1
            self.stalled_s += now_s - self._shown_until_s
            self._shown_until_s = now_s
        self._shown_until_s += duration_s


def _size_of_header(content: bytes) -> int:
    """Return how many bytes of a fragmented MP4 file come before its first fragment."""
    start = 0
    while content[start + 4 : start + 8] != b"moof":
        start += int.from_bytes(content[start : start + 4], "big")
    return start
