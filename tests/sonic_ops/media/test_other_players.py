"""Every format that is written, opened and decoded by another FFmpeg than the one that wrote it.

The program comes with `imageio-ffmpeg`, and is newer: it plays animated WebP too.
"""

import re
import subprocess
from fractions import Fraction
from math import floor
from pathlib import Path

import imageio_ffmpeg
import pytest
import soundfile

from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.formats import FORMATS, VideoCodec
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.soundtrack import Soundtrack
from tests.sonic_ops.media.test_finishing import CUES, DURATION_S, noise, pictures

ALL = [(ending, codec) for ending, form in FORMATS.items() for codec in form.video]
OFTEN: list[tuple[str, VideoCodec]] = [
    (".mp4", "h264"),
    (".mp4", "hevc"),
    (".mov", "prores"),
    (".mkv", "h264"),
    (".webm", "vp9"),
    (".webm", "av1"),
]
OTHER_RATES = ("24", "30", "24000/1001", "60")
CLOCKS = {".mkv": Fraction(1, 1000), ".webm": Fraction(1, 1000)}  # the others have any
TAGS = {"h264": "avc1", "hevc": "hvc1", "prores": "apch", "av1": "av01"}  # of MP4 and QuickTime

_TICK = re.compile(r"#tb 0: (\d+/\d+)")
_SHOWN = re.compile(r"^0, *-?\d+, *(-?\d+),", re.MULTILINE)
_PROBLEM = re.compile(r"\[(error|fatal|panic)\]")


def played(path: Path) -> tuple[list[Fraction], str]:
    """When the frames of a file are shown, in seconds, and all that is said of it."""
    play = ("-loglevel", "level+info", "-nostats", "-copyts", "-i", str(path), "-map", "0")
    # A table and no log: lines of a log may mix, since several threads write it.
    as_they_are = ("-c:s", "copy", "-fps_mode:v", "passthrough", "-enc_time_base:v", "demux")
    table = (*as_they_are, "-f", "framecrc", "-")
    command = (imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", *play, *table)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "#media_type 0: video" in done.stdout
    assert not _PROBLEM.search(done.stderr), done.stderr
    (tick,) = _TICK.findall(done.stdout)
    shown = [int(pts) * Fraction(tick) for pts in _SHOWN.findall(done.stdout)]
    return shown, done.stderr


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "sound.wav"
    soundfile.write(path, noise(48_000, 2), 48_000, subtype="PCM_24")
    decode_audio(str(path), path.with_name("16k.wav"))
    return path


def write(target: Path, audio: Path, codec: VideoCodec, fps: Fraction) -> int:
    """A video of two segments with audio and subtitles; the number of its frames."""
    num_samples = round(DURATION_S * 16_000)
    num_frames = num_output_frames_of(num_samples, fps)
    settings = EncodeSettings(codec, preset="veryfast", gop_frames=10, fps=fps)
    segments = [target.with_name(f"{index}.mp4") for index in range(2)]
    encode_frames(pictures(13), segments[0], settings)
    encode_frames(pictures(num_frames - 13, 13), segments[1], settings)
    track, wav = Soundtrack(str(audio), language="de"), audio.with_name("16k.wav")
    finish_video(segments, target, Finish(track, wav, num_samples, num_frames, codec, CUES, fps))
    return num_frames


@pytest.mark.parametrize(
    ("ending", "codec", "rate"),
    [(*form, "25") for form in ALL] + [(*form, rate) for form in OFTEN for rate in OTHER_RATES],
)
def test_every_format_is_played_from_0_frame_by_frame(
    tmp_path: Path, audio: Path, ending: str, codec: VideoCodec, rate: str
) -> None:
    fps, target = Fraction(rate), tmp_path / f"video{ending}"
    num_frames = write(target, audio, codec, fps)
    times, told = played(target)
    wanted = [n / fps for n in range(num_frames)]
    if clock := CLOCKS.get(ending):  # its nearest millisecond
        wanted = [floor(time / clock + Fraction(1, 2)) * clock for time in wanted]
    assert times == wanted
    assert abs(num_frames / fps - Fraction(DURATION_S)) <= Fraction(1, 25)
    assert f"{codec} (" in told
    assert "(deu)" in told or "(ger)" in told
    if ending in {".mp4", ".mov"}:
        assert f"({TAGS[codec]} / " in told  # players of Apple know H.265 only by this name


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_every_animation_is_played_from_0_frame_by_frame(
    tmp_path: Path, audio: Path, ending: str
) -> None:
    num_frames = write(tmp_path / f"animation{ending}", audio, "h264", Fraction(25))
    times, _ = played(tmp_path / f"animation{ending}")
    assert times == [n * Fraction(2, 25) for n in range(num_frames // 2)]


def test_prores_in_matroska_says_which_prores_it_is(tmp_path: Path, audio: Path) -> None:
    write(tmp_path / "video.mkv", audio, "prores", Fraction(25))
    _, told = played(tmp_path / "video.mkv")
    assert "prores (HQ)" in told


def test_a_damaged_file_is_noticed_by_what_plays_it(tmp_path: Path, audio: Path) -> None:
    target = tmp_path / "video.mp4"
    write(target, audio, "h264", Fraction(25))
    content = bytearray(target.read_bytes())
    middle = content.index(b"mdat") + 2000
    content[middle : middle + 2000] = bytes(2000)
    target.write_bytes(content)
    with pytest.raises(AssertionError, match=r"\[error\]"):
        played(target)
