"""Languages joined in one file: pictures and audio tracks as they were, each track with its tag."""

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition
from imageio_ffmpeg import get_ffmpeg_exe
from numpy.typing import NDArray

from flows.commands.mux import mux
from sonic_ops.core.errors import (
    FieldError,
    InputError,
    LengthsDifferError,
    MissingFileError,
    OutputNotWritableError,
    VideoUnreadableError,
)
from sonic_ops.core.formats import FORMATS, VideoCodec
from sonic_ops.media.dubbing import Dub, join_languages
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.muxing import Soundtrack
from sonic_ops.media.muxing import mux as mux_video
from tests.sonic_ops.media.test_finishing import noise, pictures
from tests.sonic_ops.media.test_other_players import played

SECONDS = 1.2
NUM_FRAMES = 30
SRT = "1\n00:00:00,100 --> 00:00:00,900\nHallo\n\n2\n00:00:01,000 --> 00:00:09,000\nDu\n"


def samples(language: str, seconds: float = SECONDS) -> NDArray[np.float32]:
    """Another recording for every language, as 16 bits can say it."""
    order = slice(None, None, -1 if language == "fr" else 1)
    whole = np.round(noise(48_000, 2, seconds)[order] * 32_768)
    return (whole / 32_768).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for language in ("de", "fr"):
        soundfile.write(tmp_path / f"{language}.wav", samples(language), 48_000, "PCM_16")
    (tmp_path / "de.srt").write_text(SRT)
    return tmp_path


def video_in(folder: Path, ending: str = ".mp4", codec: VideoCodec | None = None) -> Path:
    """A video whose pictures are decoded in another order than shown, where the codec does so."""
    target = folder / f"video{ending}"
    settings = EncodeSettings(FORMATS[ending].codec(codec), preset="veryfast")
    encode_frames(pictures(NUM_FRAMES), folder / "segment.mp4", settings)
    mux_video(folder / "segment.mp4", Soundtrack(str(folder / "de.wav")), target)
    return target


def decoded(path: Path, kind: str, index: int = 0) -> list[NDArray[Any]]:
    with av.open(str(path)) as container:
        frames = container.decode(**{kind: index})
        return [frame.to_ndarray() for frame in frames]


@pytest.mark.parametrize(
    ("source", "codec", "target"),
    [
        (".mp4", "h264", ".mkv"),
        (".mkv", "h264", ".mp4"),  # which does not say when its first packets are decoded
        (".mkv", "hevc", ".mov"),
        (".mp4", "av1", ".webm"),
        (".mov", "prores", ".mov"),
        (".webm", "vp9", ".webm"),
    ],
)
def test_images_are_copied_and_audio_have_their_language(
    folder: Path, source: str, codec: VideoCodec, target: str
) -> None:
    video, joined = video_in(folder, source, codec), folder / f"joined{target}"
    recordings = [Dub(name, str(folder / f"{name}.wav")) for name in ("fr", "de")]
    lengths_s = join_languages(str(video), recordings, [Dub("de", str(folder / "de.srt"))], joined)
    assert lengths_s == pytest.approx([SECONDS] * 3, abs=0.01)
    for kept, copied in zip(decoded(video, "video"), decoded(joined, "video"), strict=True):
        assert np.array_equal(kept, copied)
    with av.open(str(joined)) as container:
        tags = [stream.metadata["language"] for stream in container.streams.audio]
        usual = [stream.disposition & Disposition.default for stream in container.streams.audio]
        (text,) = container.streams.subtitles
        assert text.metadata["language"] in {"deu", "ger"}
    assert tags == (["fra", "ger"] if target == ".mov" else ["fra", "deu"])
    assert usual == [Disposition.default, Disposition(0)]
    assert played(joined)[0] == [n * Fraction(1, 25) for n in range(NUM_FRAMES)]


@pytest.mark.parametrize("target", [".mp4", ".mkv"])
@pytest.mark.parametrize("source", [".mp4", ".mkv", ".ts"])
def test_the_first_image_is_shown_at_0(folder: Path, source: str, target: str) -> None:
    video, late, joined = video_in(folder), folder / f"late{source}", folder / f"joined{target}"
    with av.open(str(video)) as given, av.open(str(late), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.pts is not None and packet.dts is not None:
                packet.pts += round(1 / packet.time_base)
                packet.dts += round(1 / packet.time_base)
                packet.stream = stream
                output.mux(packet)
    assert played(late)[0][0] >= 1
    recordings, text = [Dub("de", str(folder / "de.wav"))], [Dub("de", str(folder / "de.srt"))]
    lengths_s = join_languages(str(late), recordings, text, joined)
    assert lengths_s == pytest.approx([SECONDS] * 2, abs=0.01)
    assert played(joined)[0] == [n * Fraction(1, 25) for n in range(NUM_FRAMES)]
    for kept, copied in zip(decoded(video, "video"), decoded(joined, "video"), strict=True):
        assert np.array_equal(kept, copied)


def test_every_audio_is_exactly_the_one_that_was_given(folder: Path) -> None:
    joined = folder / "joined.mkv"
    recordings = [Dub(name, str(folder / f"{name}.wav")) for name in ("fr", "de")]
    join_languages(str(video_in(folder)), recordings, [], joined)
    for index, dub in enumerate(recordings):
        heard = np.concatenate(decoded(joined, "audio", index), axis=1)[0] / 32_768
        assert np.array_equal(heard, samples(dub.language).reshape(-1))


def test_the_audio_of_the_video_is_one_to_choose(folder: Path) -> None:
    said: list[str] = []
    video_in(folder)
    given = ["en=video.mp4", "de = de.wav"]
    mux("video.mp4", given, ["de=de.srt"], "both.mp4", str(folder), said.append)
    assert said == [f"{folder}/both.mp4: 1.20 s; audio in en, de; subtitles in de"]
    with av.open(str(folder / "both.mp4")) as container:
        assert len(container.streams.audio) == 2


@pytest.mark.parametrize("seconds", [1.0, 1.1, 1.25, 3.0])
def test_audio_of_another_length_is_said_in_one_sentence(folder: Path, seconds: float) -> None:
    soundfile.write(folder / "fr.wav", samples("fr", seconds), 48_000, "PCM_16")
    recordings = [Dub(name, str(folder / f"{name}.wav")) for name in ("de", "fr")]
    with pytest.raises(LengthsDifferError, match=rf"fr\.wav lasts {seconds:.3f} s.* 1\.200 s$"):
        join_languages(str(video_in(folder)), recordings, [], folder / "joined.mkv")
    assert not (folder / "joined.mkv").exists()


@pytest.mark.parametrize(
    ("video", "audio", "subtitles", "output", "kind"),
    [
        ("none.mp4", "de=de.wav", "de=de.srt", "a.mkv", MissingFileError),
        ("de.srt", "de=de.wav", "de=de.srt", "a.mkv", VideoUnreadableError),
        ("de.wav", "de=de.wav", "de=de.srt", "a.mkv", VideoUnreadableError),
        ("video.mp4", "de.wav", "de=de.srt", "a.mkv", FieldError),
        ("video.mp4", "german=de.wav", "de=de.srt", "a.mkv", FieldError),
        ("video.mp4", "de=de.srt", "de=de.srt", "a.mkv", InputError),
        ("video.mp4", "de=de.wav", "de=de.wav", "a.mkv", InputError),
        ("video.mp4", "de=de.wav", "de=de.srt", "a.webm", FieldError),
        ("video.mp4", "de=de.wav", "de=de.srt", "a.gif", FieldError),
        ("video.mp4", "de=de.wav", "de=de.srt", "a.avi", FieldError),
        ("video.mp4", "de=de.wav", "de=de.srt", "video.mp4", OutputNotWritableError),
    ],
)
def test_what_cannot_be_joined_is_one_sentence_and_leaves_nothing(
    folder: Path, video: str, audio: str, subtitles: str, output: str, kind: type[InputError]
) -> None:
    before = video_in(folder).read_bytes()
    with pytest.raises(kind) as caught:
        mux(video, [audio], [subtitles], output, str(folder), print)
    assert ". " not in caught.value.message
    assert caught.value.remedy
    assert (folder / "video.mp4").read_bytes() == before
    assert not [path for path in folder.iterdir() if path.name.startswith(("a.", "."))]


def test_a_file_that_exists_is_replaced_only_on_demand_and_an_input_never(folder: Path) -> None:
    before = video_in(folder).read_bytes()
    (folder / "a.mkv").write_bytes(b"of the user")
    (folder / "link.mp4").symlink_to("video.mp4")
    for output, overwrite in (("a.mkv", False), ("link.mp4", False), ("link.mp4", True)):
        with pytest.raises(OutputNotWritableError):
            mux("video.mp4", ["de=de.wav"], [], output, str(folder), print, overwrite=overwrite)
    assert (folder / "a.mkv").read_bytes() == b"of the user"
    assert (folder / "link.mp4").is_symlink()
    assert (folder / "video.mp4").read_bytes() == before
    mux("video.mp4", ["de=de.wav"], [], "a.mkv", str(folder), print, overwrite=True)
    assert (folder / "a.mkv").read_bytes() != b"of the user"


def test_images_that_a_cut_has_hidden_are_said(folder: Path) -> None:
    cut = ["-ss", "0.5", "-i", str(video_in(folder)), "-an", "-c", "copy", str(folder / "cut.mp4")]
    subprocess.run([get_ffmpeg_exe(), "-v", "error", *cut], check=True)
    with pytest.raises(VideoUnreadableError, match=r"\d+ frames of .* are cut away and still in"):
        join_languages(str(folder / "cut.mp4"), [], [], folder / "joined.mkv")
