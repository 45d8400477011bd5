"""Every format: what is in the file, how long it is, when its audio starts."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.audio.alignment import compare_audio
from sonic_ops.audio.decoding import AudioBlock
from sonic_ops.audio.loudness import measure_loudness
from sonic_ops.audio.reading import read_audio
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.errors import FieldError, VerifyError
from sonic_ops.core.formats import CODECS, FORMATS, VideoCodec, format_of
from sonic_ops.media.encoding import ENCODERS, EncodeSettings, encode_frames
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.languages import track_language
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.media.subtitles import Cue

LENGTHS = (13, 12, 1, 12)
NUM_FRAMES = sum(LENGTHS)
DURATION_S = 1.5
CUES = (Cue(200, 700, "One"), Cue(700, 1400, "<i>Two</i>\nlines"))


def pictures(num_frames: int, first: int = 0) -> Iterator[NDArray[np.uint8]]:
    """A square that walks over two gradients."""
    ramp = np.linspace(20, 200, 64).astype(np.uint8)
    for index in range(first, first + num_frames):
        frame = np.stack(
            [np.tile(ramp, (64, 1)), np.tile(ramp, (64, 1)).T, np.full((64, 64), 90)], 2
        )
        frame[20:36, index % 48 : index % 48 + 16] = (250, 240, 30)
        yield frame.astype(np.uint8)


def noise(rate_hz: int, num_channels: int, seconds: float = DURATION_S) -> NDArray[np.float32]:
    """Sound whose every moment is unlike the others: S C."""
    rough = np.random.default_rng(0).standard_normal((round(seconds * rate_hz), num_channels))
    smooth = [np.convolve(channel, np.hanning(16) / 8, "same") for channel in rough.T]
    return np.stack(smooth, axis=1).astype(np.float32) * 0.2


@pytest.fixture(scope="session")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[VideoCodec, list[Path]]:
    """A video in four segments, in every codec."""
    folder = tmp_path_factory.mktemp("segments")
    made: dict[VideoCodec, list[Path]] = {}
    for codec in CODECS:
        settings = EncodeSettings(codec, preset="veryfast", gop_frames=10)
        made[codec] = [folder / f"{codec}-{index}.mp4" for index in range(len(LENGTHS))]
        for index, path in enumerate(made[codec]):
            encode_frames(pictures(LENGTHS[index], sum(LENGTHS[:index])), path, settings)
    return made


@pytest.fixture
def finish(tmp_path: Path) -> Finish:
    soundfile.write(tmp_path / "sound.wav", noise(48_000, 2), 48_000, subtype="PCM_24")
    return finish_of(tmp_path / "sound.wav")


def finish_of(source: Path) -> Finish:
    wav = source.with_name(f"{source.stem}-16k.wav")
    num_samples = decode_audio(str(source), wav)
    return Finish(Soundtrack(str(source), language="de-CH"), wav, num_samples, NUM_FRAMES)


@pytest.mark.parametrize(
    ("ending", "codec"),
    [(ending, codec) for ending, form in FORMATS.items() for codec in form.video],
)
def test_every_codec_of_every_format(
    tmp_path: Path,
    segments: dict[VideoCodec, list[Path]],
    finish: Finish,
    ending: str,
    codec: VideoCodec,
) -> None:
    target = tmp_path / f"video{ending}"
    wished = replace(finish, codec=codec, subtitles=CUES)
    info = finish_video(segments[codec], target, wished)
    assert (info.video_codec, info.num_frames) == (codec, NUM_FRAMES)
    assert (info.num_channels, info.sample_rate_hz) == (2, 48_000)
    assert info.num_subtitles == len(CUES)
    assert info.language == ("ger" if ending == ".mov" else "deu")
    assert info.duration_s == pytest.approx(NUM_FRAMES / 25, abs=1e-6)
    assert abs(info.audio_duration_s - DURATION_S) < 0.04
    assert info.audio_offset_s is not None
    assert abs(info.audio_offset_s) <= 0.001
    with av.open(str(target)) as container:
        frames = list(container.decode(video=0))
        assert [Fraction(frame.pts) * frame.time_base for frame in frames] == [
            Fraction(n, 25) for n in range(NUM_FRAMES)
        ]
    shown = frames[30].reformat(format="rgb24", src_colorspace=1).to_ndarray().astype(int)
    wanted = next(pictures(1, 30)).astype(int)
    assert np.abs(shown - wanted)[24:32, 8:40].mean() < 12
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"sound.wav", "sound-16k.wav", target.name}


@pytest.mark.parametrize("codec", CODECS)
def test_equal_frames_give_equal_bytes_in_every_codec(tmp_path: Path, codec: VideoCodec) -> None:
    for name in ("a", "b"):
        settings = EncodeSettings(codec, preset="veryfast")
        encode_frames(pictures(9), tmp_path / f"{name}.mp4", settings)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_animations_move_at_their_speed_in_the_colours_of_the_video(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, ending: str
) -> None:
    target = tmp_path / f"animation{ending}"
    info = finish_video(segments["h264"], target, finish)
    assert info.num_frames == NUM_FRAMES // 2
    with Image.open(target) as image:
        image.seek(15)
        image.load()
        assert image.info["duration"] == 80
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(shown - next(pictures(1, 30)).astype(int)).mean() < 8


@pytest.mark.parametrize(
    ("encoder", "ending", "copied_into"),
    [
        ("aac", ".m4a", {".mp4", ".mov"}),
        ("libmp3lame", ".mp3", set()),
        ("libopus", ".ogg", {".webm", ".mkv"}),
        ("flac", ".flac", {".mkv"}),
        ("alac", ".m4a", {".mov"}),
        ("pcm_s16le", ".wav", {".mov", ".mkv"}),
    ],
)
def test_audio_is_copied_where_the_format_takes_it_and_never_moves(
    tmp_path: Path,
    segments: dict[VideoCodec, list[Path]],
    encoder: str,
    ending: str,
    copied_into: set[str],
) -> None:
    source = tmp_path / f"sound{ending}"
    write_audio(source, encoder, noise(48_000, 2), 48_000)
    finish = finish_of(source)
    for name, form in FORMATS.items():
        if form.is_animation:
            continue
        target = tmp_path / f"video{name}"
        info = finish_video(segments[form.codec(None)], target, finish)
        assert info.audio_offset_s is not None
        assert abs(info.audio_offset_s) <= 0.001
        assert (packets_of(target) == packets_of(source)) == (name in copied_into), name


def write_audio(path: Path, encoder: str, samples_SC: NDArray[np.float32], rate_hz: int) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=rate_hz, layout="stereo")
        planes = np.ascontiguousarray(samples_SC.T)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        container.mux([*stream.encode(frame), *stream.encode(None)])


def packets_of(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))


@pytest.mark.parametrize("num_channels", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_all_channels_are_kept(
    tmp_path: Path,
    segments: dict[VideoCodec, list[Path]],
    ending: str,
    num_channels: int,
) -> None:
    samples = noise(44_100, num_channels)
    soundfile.write(tmp_path / "sound.flac", samples, 44_100)
    finish = finish_of(tmp_path / "sound.flac")
    target = tmp_path / f"video{ending}"
    info = finish_video(segments[format_of(target.name).codec(None)], target, finish)
    rate = 48_000 if ending == ".webm" else 44_100  # Opus knows no other
    assert (info.num_channels, info.sample_rate_hz) == (num_channels, rate)


def test_more_channels_than_encoders_know_become_one(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]]
) -> None:
    soundfile.write(tmp_path / "sound.wav", noise(16_000, 12), 16_000)
    target = tmp_path / "video.mp4"
    info = finish_video(segments["h264"], target, finish_of(tmp_path / "sound.wav"))
    assert info.num_channels == 1


def test_the_offset_of_a_late_and_of_an_early_audio_is_measured(tmp_path: Path) -> None:
    audio = noise(16_000, 1, seconds=9.0)
    soundfile.write(tmp_path / "sound.wav", audio, 16_000, subtype="FLOAT")
    wav = tmp_path / "16k.wav"
    num_samples = decode_audio(str(tmp_path / "sound.wav"), wav)
    for late in (-320, 0, 7, 800):
        moved = np.roll(audio, late, axis=0)
        soundfile.write(tmp_path / "moved.flac", moved, 16_000)
        assert compare_audio(tmp_path / "moved.flac", wav, num_samples).offset_s == late / 16_000
    soundfile.write(tmp_path / "other.flac", noise(16_000, 1, 9.0)[::-1], 16_000)
    assert compare_audio(tmp_path / "other.flac", wav, num_samples).offset_s is None


def test_a_file_whose_audio_is_late_is_refused(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish
) -> None:
    late = np.roll(noise(48_000, 2), 480, axis=0)
    soundfile.write(tmp_path / "late.wav", late, 48_000)
    moved = replace(finish, track=Soundtrack(str(tmp_path / "late.wav")))
    with pytest.raises(VerifyError, match=r"audio \+10\.0 ms off"):
        finish_video(segments["h264"], tmp_path / "video.mp4", moved)


def tone(seconds: float, level_db: float, rate_hz: int = 48_000) -> NDArray[np.float32]:
    """A stereo tone of 1 kHz: 2 S."""
    time_S = np.arange(round(seconds * rate_hz)) / rate_hz
    wave = 10 ** (level_db / 20) * np.sin(2 * np.pi * 1000 * time_S)
    return np.stack([wave, wave]).astype(np.float32)


@pytest.mark.parametrize(
    "levels", [[(20, -23)], [(20, -33)], [(10, -36), (60, -23), (10, -36)], [(10, -72), (10, -36)]]
)
def test_loudness_is_that_of_the_test_signals_of_the_standard(
    levels: list[tuple[float, float]],
) -> None:
    """Source: EBU Tech 3341, minimum requirements, cases 1 to 4: 0.1 LU at most."""
    blocks = [AudioBlock(tone(*level), 48_000, "stereo") for level in levels]
    loudest = max(level for _, level in levels)
    found = measure_loudness(blocks)
    assert found.lufs == pytest.approx(loudest, abs=0.1)
    assert found.peak_db == pytest.approx(loudest, abs=0.01)


def test_loudness_is_brought_to_what_was_asked_for_below_full_scale(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]]
) -> None:
    soundfile.write(tmp_path / "sound.wav", 0.1 * noise(48_000, 2), 48_000, subtype="FLOAT")
    finish = finish_of(tmp_path / "sound.wav")
    target = tmp_path / "video.mov"
    for wished, expected in ((-23.0, -23.0), (0.0, None)):
        track = replace(finish.track, loudness_lufs=wished)
        finish_video(segments["prores"], target, replace(finish, track=track))
        found = measure_loudness(read_audio(str(target)))
        if expected is None:
            assert found.peak_db == pytest.approx(-1, abs=0.01)
        else:
            assert found.lufs == pytest.approx(expected, abs=0.1)


def test_silence_stays_silent() -> None:
    silence = AudioBlock(np.zeros((1, 96_000), np.float32), 48_000, "mono")
    assert measure_loudness([silence]).gain_to(-23) == 1
    assert measure_loudness([]).gain_to(-23) == 1


def test_an_unknown_ending_and_a_file_without_one_are_named() -> None:
    for name in ("video.avi", "video", "video.mp4.tmp"):
        with pytest.raises(FieldError, match=r"is no video that can be written") as caught:
            format_of(name)
        assert ".mp4" in caught.value.remedy
    assert format_of("A.MP4") is FORMATS[".mp4"]


def test_a_format_that_cannot_hold_a_codec_keeps_its_own() -> None:
    assert FORMATS[".webm"].codec("hevc") == "vp9"
    assert FORMATS[".mov"].codec("hevc") == "hevc"
    assert set(ENCODERS) == set(CODECS)


@pytest.mark.parametrize(
    ("tag", "language"),
    [("de", "deu"), ("pt-BR", "por"), ("zh_Hant", "zho"), ("EN", "eng"), ("yue", "yue")],
)
def test_language_tags(tag: str, language: str) -> None:
    assert track_language(tag) == language


@pytest.mark.parametrize("tag", ["", "english", "xx", "d", "de--CH", "12"])
def test_what_is_no_language_tag(tag: str) -> None:
    with pytest.raises(ValueError, match=r"language"):
        track_language(tag)


@pytest.mark.parametrize(("rate_hz", "num_channels"), [(8_000, 1), (96_000, 6)])
def test_low_and_high_rates_are_kept(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], rate_hz: int, num_channels: int
) -> None:
    soundfile.write(tmp_path / "sound.wav", noise(rate_hz, num_channels), rate_hz, "PCM_24")
    info = finish_video(segments["h264"], tmp_path / "a.mp4", finish_of(tmp_path / "sound.wav"))
    assert (info.sample_rate_hz, info.num_channels) == (rate_hz, num_channels)
