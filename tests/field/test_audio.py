"""Sound files of the field: all that a player would play is read, or the row is refused."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from flows.preflight.inputs import AudioFacts, inspect_audio
from sonic_ops.audio.reading import duration_s, read_audio
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.errors import AudioUnreadableError, InputError
from tests.field.media import DATA, SPEECH, SPEECH_S, decoded_s, ffmpeg, film_in, flipped, speech_in

TOLERANCE_S = 0.04
LIBRARY_WORDS = ("patches", "Errno", "errno", "avcodec", "not permitted", "nanobind")
CONTAINERS = {
    "wav": [], "flac": [], "mp3": [], "m4a": [], "aac": [], "ogg": [], "opus": [], "webm": [],
    "mka": ["-c:a", "aac"], "ts": ["-c:a", "aac"], "wma": [], "flv": ["-ar", "44100"], "caf": [],
    "aiff": [], "ac3": [],
}  # fmt: skip


def heard(
    source: Path, scratch: Path, start_s: float = 0, end_s: float | None = None
) -> NDArray[np.float32]:
    num_samples = decode_audio(str(source), scratch / "heard.wav", start_s=start_s, end_s=end_s)
    return read_samples(scratch / "heard.wav", 0, num_samples)


def facts(source: Path, start: float | None = None, end: float | None = None) -> AudioFacts:
    return inspect_audio(str(source), start, end)


@pytest.mark.parametrize("name", ["one_packet.m4a", "eperm.m4a"])
def test_a_damaged_packet_is_silent_and_the_rest_keeps_its_time(name: str, tmp_path: Path) -> None:
    found = facts(DATA / name)
    assert found.duration_s == pytest.approx(SPEECH_S, abs=1e-3)
    assert found.notes == ("the audio is damaged at 1.0 s, 0.02 s replaced by silence",)
    speech, audio = heard(SPEECH, tmp_path), heard(DATA / name, tmp_path)
    assert len(audio) == len(speech)
    assert np.corrcoef(speech[32_000:], audio[32_000:])[0, 1] > 0.9
    assert np.abs(audio[15_750:15_950]).max() < 1e-3


@pytest.mark.parametrize("codec", ["u8", "s24le", "s32be", "s64le", "f64le", "mulaw"])
def test_every_depth_has_the_same_audio(codec: str, tmp_path: Path) -> None:
    source = tmp_path / "a.mka"
    ffmpeg("-i", SPEECH, "-c:a", f"pcm_{codec}", source)
    assert facts(source).duration_s == pytest.approx(SPEECH_S, abs=1e-3)
    speech, audio = heard(SPEECH, tmp_path), heard(source, tmp_path)
    assert np.corrcoef(speech, audio)[0, 1] > 0.99


@pytest.mark.parametrize(
    ("name", "length_s"), [("chained.ogg", 1.607), ("speech_then_pause.aac", 9.033)]
)
def test_the_length_is_what_decodes(name: str, length_s: float) -> None:
    found = facts(DATA / name)
    assert found.duration_s == pytest.approx(length_s, abs=1e-3)
    assert facts(DATA / name, length_s - 0.5, length_s - 0.1).duration_s == pytest.approx(0.4)
    with pytest.raises(InputError, match=f"is {length_s:.2f} s long and has nothing at 10 s"):
        facts(DATA / name, 10)


def test_sample_rates_that_change_are_resampled(tmp_path: Path) -> None:
    """Two MP3 files that `cat` joined."""
    found = facts(DATA / "intro_and_speech.mp3")
    assert found.duration_s == pytest.approx(decoded_s(DATA / "intro_and_speech.mp3"), abs=0.04)
    assert "its sample rate changes from 44100 Hz to 24000 Hz" in found.notes
    assert len(heard(DATA / "intro_and_speech.mp3", tmp_path)) == round(found.duration_s * 16_000)


@pytest.mark.parametrize("ending", ["mp3", "aac", "ts", "flac"])
def test_joined_files_are_read_to_their_end(ending: str, tmp_path: Path) -> None:
    first = speech_in(tmp_path / f"a.{ending}", "-ar", "44100")
    second = speech_in(tmp_path / f"b.{ending}", "-ar", "32000", "-ac", "2")
    joined = tmp_path / f"joined.{ending}"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    found = facts(joined)
    assert found.duration_s >= decoded_s(joined) - TOLERANCE_S
    assert found.duration_s > 2 * SPEECH_S - TOLERANCE_S
    blocks = list(read_audio(str(joined)))
    assert len({(block.sample_rate_hz, len(block.samples)) for block in blocks}) == 1


def test_chained_streams_that_ffmpeg_cannot_follow_are_refused(tmp_path: Path) -> None:
    first = speech_in(tmp_path / "a.ogg", "-ar", "44100")
    second = speech_in(tmp_path / "b.ogg", "-ar", "32000", "-ac", "2")
    (tmp_path / "joined.ogg").write_bytes(first.read_bytes() + second.read_bytes())
    with pytest.raises(AudioUnreadableError, match=r"cannot be decoded after 3\.0 s"):
        facts(tmp_path / "joined.ogg")


@pytest.mark.parametrize(
    "ending", ["mp3", "wav", "flac", "m4a", "ogg", "opus", "webm", "mka", "aiff", "wma"]
)
@pytest.mark.parametrize("kept", [0.5, 0.96])
def test_half_a_download_is_refused_or_noted(ending: str, kept: float, tmp_path: Path) -> None:
    more = ["-movflags", "+faststart"] if ending == "m4a" else []
    source = speech_in(tmp_path / f"a.{ending}", *more)
    part = tmp_path / f"part.{ending}"
    part.write_bytes(source.read_bytes()[: round(kept * source.stat().st_size)])
    try:
        found = facts(part)
        said, found_s = "; ".join(found.notes), found.duration_s
    except AudioUnreadableError as error:
        said, found_s = error.message, 0
    is_said = any(word in said for word in ("breaks off", "its end is", "damaged", "missing"))
    assert is_said or found_s > SPEECH_S - TOLERANCE_S


def test_half_an_mp3_says_how_much_is_there() -> None:
    with pytest.raises(AudioUnreadableError, match=r"breaks off after 1\.4 of 3\.0 s") as caught:
        facts(DATA / "half.mp3")
    assert caught.value.remedy.startswith("Fetch or export the file again")


def test_an_index_that_has_not_come_is_said(tmp_path: Path) -> None:
    source = speech_in(tmp_path / "a.m4a")
    (tmp_path / "half.m4a").write_bytes(source.read_bytes()[:9000])
    with pytest.raises(AudioUnreadableError, match="its index is missing or damaged"):
        facts(tmp_path / "half.m4a")


@pytest.mark.parametrize(
    ("content", "meaning"),
    [
        (b"<!DOCTYPE html><html><body>Log in</body></html>", "web page"),
        (b"%PDF-1.7 ...", "PDF"),
        (b"PK\x03\x04" + bytes(99), "ZIP archive"),
        (b"#EXTM3U\nspeech.mp3\n", "playlist"),
    ],
)
def test_what_is_no_audio_is_named(content: bytes, meaning: str, tmp_path: Path) -> None:
    (tmp_path / "speech.mp3").write_bytes(content)
    with pytest.raises(AudioUnreadableError, match=meaning):
        facts(tmp_path / "speech.mp3")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "mov", "flv"])
@pytest.mark.parametrize("late_s", [0.6, 2.0])
def test_the_clock_is_that_of_the_file(ending: str, late_s: float, tmp_path: Path) -> None:
    plain, late = speech_in(tmp_path / "a.wav", "-ar", "48000"), tmp_path / f"late.{ending}"
    pictures = ["-f", "lavfi", "-i", "testsrc=d=6:s=160x120:r=25"]
    rate = ["-ar", "44100"] if ending == "flv" else []
    ffmpeg(
        *pictures, "-itsoffset", str(late_s), "-i", plain, "-map", "0:v", "-map", "1:a", *rate, late
    )
    audio, speech = heard(late, tmp_path), heard(SPEECH, tmp_path)
    assert np.abs(audio[: round((late_s - 0.1) * 16_000)]).max() < 1e-3
    assert len(audio) / 16_000 == pytest.approx(late_s + SPEECH_S, abs=0.08)
    part = heard(late, tmp_path, late_s + 1, late_s + 2)
    lag = np.correlate(part, speech[14_400:33_600], "valid").argmax()
    assert lag / 16_000 == pytest.approx(0.1, abs=0.03)


def test_the_default_track_is_the_one_that_is_heard(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet.wav"
    soundfile.write(quiet, np.zeros(16_000), 16_000)
    both: list[str | Path] = [
        "-i",
        quiet,
        "-i",
        SPEECH,
        "-map",
        "0:a",
        "-map",
        "1:a",
        "-c:a",
        "aac",
    ]
    ffmpeg(*both, "-disposition:a:0", "0", "-disposition:a:1", "default", tmp_path / "a.mkv")
    assert duration_s(str(tmp_path / "a.mkv")) == pytest.approx(SPEECH_S, abs=0.05)
    assert np.abs(heard(tmp_path / "a.mkv", tmp_path)).max() > 0.1


@pytest.mark.parametrize("ending", ["m4a", "mp4", "mov", "mp3", "ogg", "opus", "webm"])
def test_padding_of_the_codec_is_no_audio(ending: str, tmp_path: Path) -> None:
    write = speech_in if ending in {"m4a", "mp3", "ogg", "opus", "webm"} else film_in
    source = write(tmp_path / f"a.{ending}", "-ar", "48000")
    assert duration_s(str(source)) == pytest.approx(SPEECH_S, abs=2e-3)
    assert duration_s(str(source)) == pytest.approx(decoded_s(source), abs=2e-3)


@pytest.mark.parametrize("start_s", ["0.5", "1.21"])
def test_what_an_edit_list_cuts_away_is_not_heard(start_s: str, tmp_path: Path) -> None:
    source = speech_in(tmp_path / "a.m4a", "-ar", "48000")
    ffmpeg("-ss", start_s, "-t", "1", "-i", source, "-c", "copy", tmp_path / "cut.m4a")
    assert "damage" not in str(facts(tmp_path / "cut.m4a").notes)
    assert "breaks off" not in str(facts(tmp_path / "cut.m4a").notes)
    found_s = duration_s(str(tmp_path / "cut.m4a"))
    assert found_s == pytest.approx(decoded_s(tmp_path / "cut.m4a"), abs=0.022)


def test_a_cover_is_no_film(tmp_path: Path) -> None:
    ffmpeg("-f", "lavfi", "-i", "testsrc=s=64x64", "-frames:v", "1", tmp_path / "cover.png")
    cover: list[str | Path] = [
        "-i",
        tmp_path / "cover.png",
        "-map",
        "0:a",
        "-map",
        "1:v",
        "-c:v",
        "copy",
    ]
    for ending in ("m4a", "mp3"):
        source = tmp_path / f"a.{ending}"
        ffmpeg("-i", SPEECH, *cover, "-disposition:v", "attached_pic", source)
        assert duration_s(str(source)) == pytest.approx(SPEECH_S, abs=2e-3)
        assert facts(source).notes == ()


@pytest.mark.parametrize("ending", CONTAINERS)
def test_no_damage_is_silently_short(ending: str, tmp_path: Path) -> None:
    source = speech_in(tmp_path / f"a.{ending}", *CONTAINERS[ending])
    whole_s = duration_s(str(source))
    assert whole_s == pytest.approx(decoded_s(source), abs=2e-3)
    refusals = []
    for seed in range(10):
        hurt = flipped(source, tmp_path / f"hurt.{ending}", f"{ending}{seed}")
        try:
            found = facts(hurt)
        except InputError as error:
            refusals.append(error.message)
            continue
        assert found.duration_s >= decoded_s(hurt) - TOLERANCE_S
        assert found.duration_s >= whole_s - TOLERANCE_S or found.notes
    assert not [word for word in LIBRARY_WORDS if word in " ".join(refusals)]
