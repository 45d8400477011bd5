"""A playlist that grows: players read the pictures and the audio of the video, without a gap."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from sonic_ops.core.config import MediaConfig
from sonic_ops.media.encoding import encode_frames, settings_of
from sonic_ops.media.live import LivePlaylist, StallWatch
from sonic_ops.media.soundtrack import Soundtrack

FPS, PART_FRAMES, SIGN = Fraction(25), 30, "## a test"
RATE_HZ = 16_000
CLICK_S = 2.0


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three segments whose pictures get brighter from one to the next, all the time."""
    folder, files = tmp_path_factory.mktemp("segments"), []
    for index, num_frames in enumerate((PART_FRAMES, PART_FRAMES, 10)):
        files.append(folder / f"{index}.mp4")
        shades = range(PART_FRAMES * index, PART_FRAMES * index + num_frames)
        pictures = (np.full((64, 64, 3), 20 + 2 * shade, np.uint8) for shade in shades)
        encode_frames(pictures, files[-1], settings_of(MediaConfig()), expected=num_frames)
    return files


@pytest.fixture(scope="module")
def audio(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Silence with a click."""
    path = tmp_path_factory.mktemp("sound") / "click.wav"
    samples = np.zeros(round(2.8 * RATE_HZ), np.float32)
    samples[round(CLICK_S * RATE_HZ) :][:200] = 0.9
    soundfile.write(path, samples, RATE_HZ)
    return str(path)


def playlist(folder: Path, audio: str) -> LivePlaylist:
    length_s = Fraction(PART_FRAMES) / FPS
    return LivePlaylist(
        folder / "index.m3u8", Soundtrack(audio), fps=FPS, longest_s=length_s, sign=SIGN
    )


def shown(folder: Path) -> tuple[list[float], list[float]]:
    """When pictures are shown, and how bright they are."""
    with av.open(str(folder / "index.m3u8")) as container:
        frames = list(container.decode(video=0))
    return [float(f.time) for f in frames], [float(f.to_ndarray()[:64].mean()) for f in frames]


def test_every_state_of_it_can_be_played(tmp_path: Path, segments: list[Path], audio: str) -> None:
    with playlist(tmp_path, audio) as live:
        for index, segment in enumerate(segments):
            live.append(segment)
            text = (tmp_path / "index.m3u8").read_text()
            assert text.count("#EXTINF") == index + 1
            assert "#EXT-X-ENDLIST" not in text
        live.end()
    text = (tmp_path / "index.m3u8").read_text()
    assert text.splitlines()[:2] == ["#EXTM3U", SIGN]
    assert "#EXT-X-TARGETDURATION:2\n" in text
    assert "#EXT-X-PLAYLIST-TYPE:EVENT\n" in text
    assert text.endswith("#EXT-X-ENDLIST\n")
    times, shades = shown(tmp_path)
    assert np.diff(times) == pytest.approx(0.04)
    assert len(times) == 2 * PART_FRAMES + 10
    assert np.all(np.diff(shades) > 0)


def test_the_audio_fits_the_images_across_parts(
    tmp_path: Path, segments: list[Path], audio: str
) -> None:
    with playlist(tmp_path, audio) as live:
        for segment in segments:
            live.append(segment)
        live.end()
    start_s = shown(tmp_path)[0][0]
    with av.open(str(tmp_path / "index.m3u8")) as container:
        frames = list(container.decode(audio=0))
    first_s = float(frames[0].time) - start_s
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    click_s = int(np.argmax(np.abs(samples) > 0.4)) / RATE_HZ + first_s
    assert click_s == pytest.approx(CLICK_S, abs=0.002)


def test_what_is_begun_again_has_the_same_parts(
    tmp_path: Path, segments: list[Path], audio: str
) -> None:
    with playlist(tmp_path, audio) as live:
        for segment in segments:
            live.append(segment)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.m*4*")}
    with playlist(tmp_path, audio) as live:
        live.append(segments[0])
        live.append(segments[1])
        live.end()
    after = {path.name: path.read_bytes() for path in tmp_path.glob("*.m*4*")}
    assert set(before) - set(after) == {"00002.m4s"}
    assert after.items() <= before.items()


def test_a_player_waits_for_what_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = iter([10.0, 12.0, 15.5, 40.0])
    monkeypatch.setattr("sonic_ops.media.live.time.monotonic", lambda: next(now_s))
    watch = StallWatch()
    for _ in range(4):
        watch.published(4.0)
    assert watch.num_stalls == 1
    assert watch.stalled_s == pytest.approx(18.0)
