"""Finished videos become one: the same pictures, audio at its place, chapters, one mark."""

from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from flows.commands.join import join
from sonic_ops.audio.reading import read_audio
from sonic_ops.core.errors import FieldError, InputError, ManifestError, OutputNotWritableError
from sonic_ops.core.formats import FORMATS
from sonic_ops.media.muxing import EncodeSettings, Soundtrack, encode_frames, mux
from sonic_ops.provenance.marks import mark_file, provenance_of, tags_of

FAST = EncodeSettings(preset="veryfast", gop_frames=12)
FPS, RATE_HZ = 25, 44_100
SRT = "1\n00:00:00,200 --> 00:00:09,000\n{}\n"


def make_video(path: Path, num_frames: int, tone_hz: float, size: int = 64) -> Path:
    """A video of noise with a tone that is a little shorter than its pictures."""
    pixels = np.random.default_rng(num_frames).integers(0, 255, (num_frames, 8, 8, 3), np.uint8)
    frames = (frame.repeat(size // 8, 0).repeat(size // 8, 1) for frame in pixels)
    silent = path.with_suffix(".silent.mp4")
    encode_frames(frames, silent, FAST)
    time_S = np.arange(round((num_frames / FPS - 0.01) * RATE_HZ)) / RATE_HZ
    soundfile.write(path.with_suffix(".wav"), 0.3 * np.sin(2 * np.pi * tone_hz * time_S), RATE_HZ)
    mux(silent, Soundtrack(str(path.with_suffix(".wav"))), path, tags=tags_of(FORMATS[".mp4"]))
    mark_file(path)
    return path


def pictures(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="yuv420p") for frame in container.decode(video=0)]


def loudest_hz(path: Path, start_s: float, stop_s: float) -> float:
    """The loudest tone of a stretch of audio."""
    blocks = list(read_audio(str(path), start_s, stop_s))
    samples_S = np.concatenate([block.samples[0] for block in blocks])
    spectrum = np.abs(np.fft.rfft(samples_S * np.hanning(len(samples_S))))
    return float(spectrum.argmax() * blocks[0].sample_rate_hz / len(samples_S))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("join")
    for name, num_frames, tone_hz in (("one", 30, 400.0), ("two", 41, 900.0)):
        make_video(folder / f"{name}.mp4", num_frames, tone_hz)
    (folder / "two.srt").write_text(SRT.format("zwei"))
    make_video(folder / "large.mp4", 10, 400.0, size=128)
    return folder


def test_the_whole_has_the_images_audio_and_subtitles_of_its_parts(folder: Path) -> None:
    said: list[str] = []
    join(["one.mp4", "two.mp4"], "whole.mp4", str(folder), None, said.append, language="de")
    whole = folder / "whole.mp4"
    assert said == [f"{whole}: 2.84 s, 2 chapters"]
    parts = [*pictures(folder / "one.mp4"), *pictures(folder / "two.mp4")]
    np.testing.assert_array_equal(pictures(whole), parts)
    assert loudest_hz(whole, 0.1, 1.15) == pytest.approx(400, abs=2)
    assert loudest_hz(whole, 1.25, 2.8) == pytest.approx(900, abs=2)
    with av.open(str(whole)) as container:
        found = [
            (c["start"] * c["time_base"], c["end"] * c["time_base"], c["metadata"]["title"])
            for c in container.chapters()
        ]
        assert [(float(a), float(b), title) for a, b, title in found] == [
            (0.0, 1.2, "one"),
            (1.2, 2.84, "two"),
        ]
        assert container.streams.audio[0].metadata["language"] in ("deu", "ger")
        cues = [p for p in container.demux(container.streams.subtitles[0]) if b"zwei" in bytes(p)]
        assert [float(p.pts * p.time_base) for p in cues] == [pytest.approx(1.4, abs=0.001)]
    assert provenance_of(whole) == provenance_of(folder / "one.mp4") == "metadata, XMP"


def test_a_manifest_says_order_and_titles(folder: Path) -> None:
    base = "id,portrait,audio,output,title\n"
    rows = "b,p.png,two.wav,two.mp4,\na,p.png,one.wav,one.mp4,The beginning\n"
    (folder / "slides.csv").write_text(base + rows)
    join(["slides.csv"], "slides.mp4", str(folder), None, print, loudness_lufs=-20)
    with av.open(str(folder / "slides.mp4")) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["b", "The beginning"]
    (folder / "late.csv").write_text(base + "c,p.png,one.wav,three.mp4,\n")
    with pytest.raises(ManifestError, match=r"late\.csv line 2 \(c\) has no video yet"):
        join(["late.csv"], "late.mp4", str(folder), None, print)


@pytest.mark.parametrize(
    ("given", "output", "said"),
    [
        (["one.mp4", "large.mp4"], "x.mp4", "128 x 128 pixels in h264 at 25 a second"),
        (["one.mp4"], "x.mp4", "one video cannot be joined"),
        (["one.mp4", "no.mp4"], "x.mp4", "no.mp4 cannot be opened"),
        (["one.mp4", "two.wav"], "x.mp4", "two.wav"),
        (["one.mp4", "two.mp4"], "x.webm", "cannot hold the frames"),
        (["one.mp4", "two.mp4"], "x.gif", "has no chapters"),
        (["one.mp4", "two.mp4"], "one.mp4", "is one of the inputs"),
        (["one.mp4", "two.mp4"], "large.mp4", "already exists"),
    ],
)
def test_what_cannot_be_joined_is_said_and_nothing_is_written(
    folder: Path, given: list[str], output: str, said: str
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    with pytest.raises((InputError, FieldError, OutputNotWritableError)) as caught:
        join(given, output, str(folder), None, print)
    assert said in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
