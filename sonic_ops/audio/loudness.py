"""How loud a track is by EBU R 128, and the gain that gives it another loudness.

The filter of FFmpeg measures as it reads: memory does not grow with the track.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import av
import numpy as np
from av.filter import Graph

from sonic_ops.audio.decoding import AudioBlock, frame_of

SILENCE_LUFS = -70.0  # the gate of ITU-R BS.1770: below it nothing is counted
MAX_PEAK_DB = -1.0


@dataclass(frozen=True, slots=True)
class Loudness:
    """Integrated loudness of a track, and its highest sample against full scale."""

    lufs: float
    peak_db: float

    def gain_to(self, lufs: float) -> float:
        """Return the gain for a target loudness, limited to a peak of -1 dB."""
        if self.lufs <= SILENCE_LUFS:
            return 1.0
        gain_db = min(lufs - self.lufs, MAX_PEAK_DB - self.peak_db)
        return float(10 ** (gain_db / 20))

    @property
    def gain_below_peak(self) -> float:
        """Return the gain that keeps the highest sample below -1 dB; 1 if it is."""
        return float(min(10 ** ((MAX_PEAK_DB - self.peak_db) / 20), 1.0))


def measure_loudness(blocks: Iterable[AudioBlock]) -> Loudness:
    """Measure the loudness of a track, read once. Source: EBU R 128, ITU-R BS.1770."""
    graph: Graph | None = None
    lufs, peak, position = SILENCE_LUFS, 0.0, 0
    for block in blocks:
        graph = graph or _meter(block)
        peak = max(peak, float(np.abs(block.samples).max(initial=0)))
        graph.push(frame_of(block, position))
        position += block.samples.shape[1]
        lufs = _read(graph, lufs)
    if graph is not None:
        graph.push(None)
        lufs = _read(graph, lufs)
    return Loudness(lufs, 20 * math.log10(peak) if peak else -math.inf)


def _meter(block: AudioBlock) -> Graph:
    graph = Graph()
    source = graph.add_abuffer(format="flt", sample_rate=block.sample_rate_hz, layout=block.layout)
    meter = graph.add("ebur128", "metadata=1:framelog=quiet")
    sink = graph.add("abuffersink")
    source.link_to(meter)
    meter.link_to(sink)
    graph.configure()
    return graph


def _read(graph: Graph, lufs: float) -> float:
    """Read the newest value of the meter."""
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return lufs
        lufs = float(frame.metadata.get("lavfi.r128.I", lufs))
