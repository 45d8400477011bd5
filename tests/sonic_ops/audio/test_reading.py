"""Sound of any container, streamed to 16 kHz, and what Whisper hears in it."""

import hashlib
import math
import resource
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import fsspec
import numpy as np
import pytest
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from transformers import WhisperConfig
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from sonic_ops.audio.reading import duration_s, read_audio
from sonic_ops.audio.resampling import decode_audio, num_samples_in, read_samples
from sonic_ops.audio.whisper import encode_mel, log_mel
from sonic_ops.core.constants import CHUNK_SAMPLES, SAMPLE_RATE_HZ
from sonic_ops.core.errors import (
    AudioTooShortError,
    AudioUnreadableError,
    DamagedFileError,
    MissingFileError,
    RenderError,
)

# container suffix, encoder, sample rate, sample format of the encoder, largest tolerated difference
FORMATS = [
    ("wav", "pcm_s16le", 44_100, "s16", 1e-4),
    ("flac", "flac", 48_000, "s16", 1e-4),
    ("mp3", "libmp3lame", 44_100, "fltp", 0.05),
    ("ogg", "libopus", 48_000, "flt", 0.05),
    ("m4a", "aac", 44_100, "fltp", 0.05),
    ("webm", "libopus", 48_000, "flt", 0.05),
    ("mkv", "aac", 22_050, "fltp", 0.05),
]


def tone(seconds: float, rate: int, channels: int = 2) -> NDArray[np.float32]:
    """Two steady tones under a slow swell: S C in [-1, 1]; the channels differ in loudness."""
    time_S = np.arange(round(seconds * rate)) / rate
    wave = np.sin(2 * np.pi * 220 * time_S) + 0.5 * np.sin(2 * np.pi * 740 * time_S)
    swell = 0.2 * (1 - np.cos(2 * np.pi * time_S / seconds))
    return np.stack([wave * swell * (1 - 0.5 * c) for c in range(channels)], 1).astype(np.float32)


def encode(
    path: Path, audio_SC: NDArray[np.float32], rate: int, codec: str, sample_format: str
) -> Path:
    with av.open(str(path), "w") as container:
        layout = "mono" if audio_SC.shape[1] == 1 else "stereo"
        stream = container.add_stream(codec, rate=rate, layout=layout)
        if codec not in {"pcm_s16le", "flac"}:
            stream.bit_rate = 192_000
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(audio_SC).reshape(1, -1), format="flt", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        converter = av.AudioResampler(format=sample_format, layout=layout, rate=rate)
        for converted in [*converter.resample(frame), *converter.resample(None)]:
            container.mux(stream.encode(converted))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: f"{form[0]}-{form[1]}")
def test_every_container_gives_the_same_audio(
    tmp_path: Path, form: tuple[str, str, int, str, float]
) -> None:
    suffix, codec, rate, sample_format, tolerance = form
    original = tone(2.0, rate)
    source = encode(tmp_path / f"sound.{suffix}", original, rate, codec, sample_format)
    target = tmp_path / "decoded.wav"
    num_samples = decode_audio(str(source), target)
    heard = read_samples(target, 0, num_samples)
    expected = soxr.resample(original.mean(axis=1), rate, SAMPLE_RATE_HZ, "HQ")
    assert num_samples == pytest.approx(2 * SAMPLE_RATE_HZ, abs=0.05 * SAMPLE_RATE_HZ)
    common = min(len(heard), len(expected))
    assert np.abs(heard[:common] - expected[:common]).max() < tolerance
    assert {len(block.samples) for block in read_audio(str(source))} == {2}
    assert duration_s(str(source)) == pytest.approx(2.0, abs=0.05)


def test_streaming_equals_resampling_at_once(tmp_path: Path) -> None:
    original = (np.random.default_rng(0).standard_normal(88_217) * 3000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", original, 44_100, subtype="PCM_16")
    num_samples = decode_audio(str(tmp_path / "a.wav"), tmp_path / "b.wav")
    at_once = soxr.resample(original.astype(np.float32) / 32_768, 44_100, SAMPLE_RATE_HZ, "HQ")
    assert num_samples == math.ceil(88_217 * (16_000 / 44_100))
    assert np.array_equal(read_samples(tmp_path / "b.wav", 0, len(at_once)), at_once)


def test_sixteen_kilohertz_mono_is_untouched(tmp_path: Path) -> None:
    original = np.arange(-16_000, 16_000, dtype=np.int16)
    soundfile.write(tmp_path / "a.wav", original, SAMPLE_RATE_HZ, subtype="PCM_16")
    assert decode_audio(str(tmp_path / "a.wav"), tmp_path / "b.wav") == 32_000
    assert np.array_equal(read_samples(tmp_path / "b.wav", 0, 32_000) * 32_768, original)
    last = read_samples(tmp_path / "b.wav", 31_990, 99_999)
    assert np.array_equal(last * 32_768, original[31_990:])


@pytest.mark.parametrize(("start_s", "end_s"), [(0.0, 1.0), (0.75, None), (0.5, 1.25), (1.0, 99.0)])
def test_a_range_of_seconds_is_cut_before_resampling(
    tmp_path: Path, start_s: float, end_s: float | None
) -> None:
    original = tone(2.0, 48_000, channels=1)
    soundfile.write(tmp_path / "a.wav", original, 48_000, subtype="FLOAT")
    num_samples = decode_audio(
        str(tmp_path / "a.wav"), tmp_path / "b.wav", start_s=start_s, end_s=end_s
    )
    stop = len(original) if end_s is None else round(end_s * 48_000)
    expected = soxr.resample(original[round(start_s * 48_000) : stop, 0], 48_000, 16_000, "HQ")
    assert num_samples == len(expected)
    assert np.array_equal(read_samples(tmp_path / "b.wav", 0, num_samples), expected)


def test_the_same_audio_gives_the_same_bytes(tmp_path: Path) -> None:
    source = encode(tmp_path / "a.flac", tone(1.0, 48_000), 48_000, "flac", "s16")
    digests = set()
    for name in ("b.wav", "c.wav"):
        decode_audio(str(source), tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_a_url_of_another_file_system_is_read(tmp_path: Path) -> None:
    source = encode(tmp_path / "a.m4a", tone(1.0, 44_100), 44_100, "aac", "fltp")
    with fsspec.open("memory://media/a.m4a", "wb") as file:
        file.write(source.read_bytes())
    local = decode_audio(str(source), tmp_path / "local.wav")
    assert decode_audio("memory://media/a.m4a", tmp_path / "remote.wav") == local
    assert (tmp_path / "remote.wav").read_bytes() == (tmp_path / "local.wav").read_bytes()


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    source = tmp_path / "long.flac"
    with soundfile.SoundFile(source, "w", 8_000, 1, subtype="PCM_16", format="FLAC") as file:
        for _ in range(90):
            file.write(np.zeros(60 * 8_000, np.int16))
    decode_audio(str(source), tmp_path / "warm.wav", end_s=1.0)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert duration_s(str(source)) == 5400
    assert decode_audio(str(source), tmp_path / "long.wav") == 5400 * SAMPLE_RATE_HZ
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    assert grown_kib < 64 * 1024  # the samples are 338 MiB


@pytest.mark.parametrize(
    "content", [b"", b"this is not an audio file, it is a sentence", b"\0" * 999]
)
def test_a_file_without_audio_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(AudioUnreadableError, match=r"a\.mp3") as caught:
        decode_audio(str(tmp_path / "a.mp3"), tmp_path / "b.wav")
    assert "audio file" in caught.value.remedy
    with pytest.raises(AudioUnreadableError):
        duration_s(str(tmp_path / "a.mp3"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp3"]


def test_a_header_without_samples_is_unreadable(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.int16), SAMPLE_RATE_HZ)
    with pytest.raises(AudioUnreadableError, match="no audio"):
        decode_audio(str(tmp_path / "a.wav"), tmp_path / "b.wav")


def test_a_silent_video_has_no_audio_stream(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=64)
        frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(AudioUnreadableError, match="no audio stream"):
        duration_s(str(tmp_path / "a.mp4"))


def test_an_unknown_codec_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000, np.int16), SAMPLE_RATE_HZ)
    content = bytearray((tmp_path / "a.wav").read_bytes())
    content[20:22] = b"\xee\xee"  # the format tag
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioUnreadableError, match="codec is unknown"):
        duration_s(str(tmp_path / "a.wav"))
    with pytest.raises(AudioUnreadableError, match="codec is unknown"):
        decode_audio(str(tmp_path / "a.wav"), tmp_path / "b.wav")


@pytest.mark.parametrize(("num_bytes", "refused"), [(500, False), (9_000, True)])
def test_a_little_damage_is_silent_and_much_is_refused(
    tmp_path: Path, num_bytes: int, refused: bool
) -> None:
    source = encode(tmp_path / "a.mp4", tone(4.0, 44_100), 44_100, "aac", "fltp")
    whole = decode_audio(str(source), tmp_path / "b.wav")
    content = bytearray(source.read_bytes())
    content[4_000 : 4_000 + num_bytes] = bytes(num_bytes)
    source.write_bytes(content)
    undamaged = read_samples(tmp_path / "b.wav", 0, whole)
    if refused:
        with pytest.raises(AudioUnreadableError, match=r"the first at 0\.\d s"):
            decode_audio(str(source), tmp_path / "b.wav")
    else:
        assert decode_audio(str(source), tmp_path / "b.wav") == pytest.approx(whole, abs=1)
        heard = read_samples(tmp_path / "b.wav", 0, whole)
        assert np.abs(heard[-16_000:] - undamaged[-16_000:]).max() < 1e-3  # all keeps its time


@pytest.mark.parametrize(("suffix", "codec"), [("mkv", "aac"), ("flac", "flac")])
def test_a_file_that_breaks_off_is_refused(tmp_path: Path, suffix: str, codec: str) -> None:
    sample_format = "s16" if suffix == "flac" else "fltp"
    source = encode(tmp_path / f"a.{suffix}", tone(4.0, 44_100), 44_100, codec, sample_format)
    content = source.read_bytes()
    source.write_bytes(content[: len(content) // 2])
    with pytest.raises(AudioUnreadableError, match=r"breaks off after [12]\.\d of 4\.\d s"):
        decode_audio(str(source), tmp_path / "b.wav")
    assert decode_audio(str(source), tmp_path / "b.wav", end_s=1.0) == 16_000


def write_phone_call(path: Path) -> Path:
    path = path.with_suffix(".wav")
    soundfile.write(path, tone(2.0, 8_000, channels=1), 8_000, subtype="PCM_U8")
    return path


def write_surround(path: Path) -> Path:
    path = path.with_suffix(".wav")
    soundfile.write(path, tone(2.0, 96_000, channels=6), 96_000, subtype="PCM_24")
    return path


def write_video_of_uneven_frames(path: Path) -> Path:
    """A screen recording: frames come when something moves, audio goes on."""
    path = path.with_suffix(".mp4")
    original = tone(2.0, 44_100)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=30, width=64, height=64)
        video.time_base = video.codec_context.time_base = Fraction(1, 1000)
        audio = container.add_stream("aac", rate=44_100, layout="stereo")
        for time_ms in (0, 40, 55, 700, 712, 1900):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), time_ms % 255, np.uint8))
            frame.pts, frame.time_base = time_ms, Fraction(1, 1000)
            container.mux(video.encode(frame))
        heard = av.AudioFrame.from_ndarray(original.reshape(1, -1), format="flt", layout="stereo")
        heard.sample_rate, heard.pts, heard.time_base = 44_100, 0, Fraction(1, 44_100)
        converter = av.AudioResampler(format="fltp", layout="stereo", rate=44_100)
        for converted in converter.resample(heard):
            container.mux(audio.encode(converted))
        container.mux([*video.encode(None), *audio.encode(None)])
    return path


@pytest.mark.parametrize(
    "write",
    [write_phone_call, write_surround, write_video_of_uneven_frames],
    ids=lambda w: w.__name__,
)
def test_odd_inputs_keep_their_length_and_tones(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    source = write(tmp_path / "odd")
    num_samples = decode_audio(str(source), tmp_path / "decoded.wav")
    assert num_samples == pytest.approx(2 * SAMPLE_RATE_HZ, abs=0.04 * SAMPLE_RATE_HZ)
    heard = read_samples(tmp_path / "decoded.wav", 0, num_samples)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * SAMPLE_RATE_HZ / len(heard) == pytest.approx(220, abs=1)
    assert duration_s(str(source)) == pytest.approx(2, abs=0.04)


def test_less_than_a_frame_is_too_short(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.ones(1279, np.int16), SAMPLE_RATE_HZ)
    with pytest.raises(AudioTooShortError, match="less than a frame"):
        decode_audio(str(tmp_path / "a.wav"), tmp_path / "b.wav")
    soundfile.write(tmp_path / "a.wav", np.ones(1280, np.int16), SAMPLE_RATE_HZ)
    assert decode_audio(str(tmp_path / "a.wav"), tmp_path / "b.wav") == 1280


@pytest.mark.parametrize("url", ["nowhere.wav", "memory://nowhere.wav", "nosuch://a/b.wav"])
def test_a_missing_file_is_named(tmp_path: Path, url: str) -> None:
    with pytest.raises(MissingFileError, match=r"nowhere\.wav|b\.wav"):
        decode_audio(url, tmp_path / "b.wav")


def test_a_piece_is_padded_and_normalised_by_its_own_maximum() -> None:
    loud: NDArray[np.float32] = tone(1.0, SAMPLE_RATE_HZ)[:, 0]
    mel = log_mel(loud)
    assert mel.shape == (80, 3000)
    assert mel.dtype == torch.float32
    assert mel.max() - mel.min() == pytest.approx(2.0)
    assert torch.allclose(
        log_mel(loud / np.float32(16)).amax() - mel.amax(), torch.tensor(-2 * 1.20412 / 4)
    )
    assert log_mel(np.zeros(CHUNK_SAMPLES, np.float32)).shape == (80, 3000)


def test_the_encoder_gives_embeddings_and_every_layer_the_last_one_normed() -> None:
    torch.manual_seed(0)
    config = WhisperConfig(
        d_model=16, encoder_layers=4, encoder_attention_heads=2, encoder_ffn_dim=16
    )
    encoder = WhisperEncoder(config).eval()
    mel = log_mel(tone(1.0, SAMPLE_RATE_HZ)[:, 0])
    hidden = encode_mel(encoder, mel)
    assert hidden.shape == (1500, 5, 16)
    assert not hidden.requires_grad
    assert torch.allclose(hidden[:, 4].mean(dim=-1), torch.zeros(1500), atol=1e-5)
    assert torch.allclose(hidden[:, 4].std(dim=-1, correction=0), torch.ones(1500), atol=1e-2)
    assert not torch.allclose(hidden[:, 3].mean(dim=-1), torch.zeros(1500), atol=1e-2)


def test_a_file_of_ours_that_is_gone_or_damaged_is_no_fault_of_the_row(tmp_path: Path) -> None:
    (tmp_path / "b.wav").write_bytes(b"damaged")
    for name in ("a.wav", "b.wav"):
        with pytest.raises(DamagedFileError, match=name):
            read_samples(tmp_path / name, 0, 1)
    with pytest.raises(RenderError, match="could not be read") as caught:
        num_samples_in(tmp_path)
    assert not isinstance(caught.value, DamagedFileError)
