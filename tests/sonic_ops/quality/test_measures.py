"""Facts of the measures of a video, on videos whose answer is known.

Shape letters: N output frames, H, W rows and columns, S samples.
"""

from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from fractions import Fraction
from pathlib import Path
from statistics import NormalDist

import cv2
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from PIL import Image

from sonic_ops.audio.prosody import Prosody
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.errors import VerifyError
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.inspection import VideoInfo
from sonic_ops.quality.baselines import shuffled, still
from sonic_ops.quality.catalogue import ENTRIES
from sonic_ops.quality.colour import ciede2000
from sonic_ops.quality.frame_analysis import FrameAnalyser, Shown, Tracks, analyse_frames
from sonic_ops.quality.measures import (
    Measures,
    length_error_ms,
    measure,
    measure_parts,
)
from sonic_ops.quality.seams import KeyChange, against_nearby, against_others
from sonic_ops.quality.speech import Speech, analyse_speech
from sonic_ops.quality.tracking import face_of
from training.evaluation.measures import correlation

Bytes = NDArray[np.uint8]
GOLDEN = Path(__file__).parents[2] / "golden" / "faces"
FPS = Fraction(25)
N = 75
SIDE = 128


def person(name: str) -> Bytes:
    with Image.open(GOLDEN / f"{name}.png") as image:
        return np.asarray(image.convert("RGB").resize((SIDE, SIDE)))


FACE = person("red_hair")
BOX, FOUND = face_of(FACE)


def speaking(opening: float, picture: Bytes = FACE) -> Bytes:
    """A face whose mouth is a dark hole of some height, from 0 to 1."""
    drawn = picture.copy()
    middle = round(BOX.x + BOX.width / 2), round(BOX.y + 0.78 * BOX.height)
    axes = round(0.16 * BOX.width), round(0.14 * BOX.height * opening)
    return np.asarray(cv2.ellipse(drawn, middle, axes, 0, 0, 360, (60, 20, 25), -1))


def moved(picture: Bytes, dx: float, dy: float = 0.0) -> Bytes:
    matrix = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    shifted = cv2.warpAffine(picture, matrix, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(shifted)


def seen(pictures: Iterable[Bytes], *, keys: range = range(0), **known: object) -> Tracks:
    analyser = FrameAnalyser(FPS, **known)  # type: ignore[arg-type]
    for index, picture in enumerate(pictures):
        analyser.add(Shown(picture, index in keys))
    return analyser.tracks()


def openings(seed: int = 0) -> NDArray[np.float64]:
    """A mouth that opens and shuts some four times a second, and is shut at first."""
    noise = np.random.default_rng(seed).standard_normal(N + 6)
    track = np.convolve(noise, np.hanning(7) / 3.5, "valid")
    return np.clip(track - track[0], 0, None) / (track - track[0]).max()


def spoken(voice_N: NDArray[np.float64], pause_N: NDArray[np.bool_] | None = None) -> Speech:
    silent = np.zeros(N, np.float32)
    prosody = Prosody(silent, silent > 0, silent, silent, silent > 0)
    return Speech(voice_N.astype(np.float32), silent > 0 if pause_N is None else pause_N, prosody)


def figures(pictures: Iterable[Bytes], speech: Speech | None = None, **known: object) -> Measures:
    return measure(seen(pictures, **known), speech)  # type: ignore[arg-type]


def test_the_face_of_the_test_is_found() -> None:
    assert FOUND


def test_the_mouth_follows_what_was_drawn_while_the_head_moves() -> None:
    truth = openings()
    sway = 4 * np.sin(np.arange(N) / 9)
    tracks = seen(moved(speaking(o), s, s / 2) for o, s in zip(truth, sway, strict=True))
    assert correlation(tracks.mouth_N, truth) > 0.95


@pytest.mark.parametrize("late", [-2, 0, 3])
def test_lips_that_are_late_have_a_lag(late: int) -> None:
    truth = openings()
    found = figures(map(speaking, np.roll(truth, late)), spoken(truth))
    assert found.lip_lag_ms == pytest.approx(40 * late, abs=15)
    assert found.lip_sync is not None
    assert (found.lip_sync > 0.95) == (late == 0)


def test_other_speech_and_a_still_image_have_no_lip_sync() -> None:
    tracks = seen(map(speaking, openings()))
    others = [measure(tracks, spoken(openings(seed))).lip_sync or 0.0 for seed in range(1, 13)]
    assert abs(float(np.mean(others))) < 0.1
    own = measure(tracks, spoken(openings()))
    assert own.chance_sync == pytest.approx(0, abs=0.1)
    assert (own.lip_sync or 0) > 0.95
    still = figures([FACE] * N, spoken(openings()))
    assert (still.lip_sync, still.lip_lag_ms, still.mouth_motion) == (0.0, None, 0.0)


def test_without_speech_there_is_no_lip_sync() -> None:
    found = figures([FACE] * N)
    assert (found.lip_sync, found.lip_lag_ms, found.silence) == (None, None, None)
    assert measure(seen([FACE] * N), spoken(np.zeros(N))).lip_sync is None


def test_the_rest_of_a_mouth_is_how_it_looks_in_pauses() -> None:
    truth = openings()
    truth[:20] = 0.9
    truth[40:55] = 0.0
    pause = np.zeros(N, bool)
    pause[40:55] = True
    informed = seen(map(speaking, truth), pause_N=pause)
    assert correlation(informed.mouth_N, truth) > 0.95
    assert correlation(seen(map(speaking, truth)).mouth_N, truth) < 0


def test_sharpness_falls_where_the_image_is_blurred() -> None:
    soft = np.asarray(cv2.GaussianBlur(FACE, (0, 0), 1.5))
    tracks = seen([FACE] * 25 + [soft] * 25)
    assert measure(tracks, None, slice(0, 25)).sharpness_pct == pytest.approx(100)
    assert (measure(tracks, None, slice(25, 50)).sharpness_pct or 100) < 40


def test_colour_drift_is_the_difference_that_was_added() -> None:
    grey, lighter = (np.full((SIDE, SIDE, 3), v, np.uint8) for v in (119, 124))
    drift = measure(seen([grey] * 25 + [lighter] * 25), None, slice(25, 50)).colour_drift
    # 119 is L* 50.03 and 124 is L* 52.00; S_L is 1.0034 at their mean.
    assert drift == pytest.approx(1.97 / 1.0034, abs=0.03)


def test_motion_is_no_drift_of_colours() -> None:
    sway = 3 * np.sin(np.arange(N) / 9)
    found = figures(moved(speaking(o), s) for o, s in zip(openings(), sway, strict=True))
    assert found.colour_drift < 1


@pytest.mark.parametrize(
    ("one", "other", "difference"),
    [
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0000),
        ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
        ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
        ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.9030),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_differences_of_colours_are_those_of_sharma(
    one: tuple[float, ...], other: tuple[float, ...], difference: float
) -> None:
    for a, b in ((one, other), (other, one)):
        assert float(ciede2000(np.array(a), np.array(b))) == pytest.approx(difference, abs=1e-4)


def test_head_motion_is_the_way_of_the_head() -> None:
    sway = 6 * np.sin(2 * np.pi * np.arange(N) / 25)
    found = figures(moved(FACE, s) for s in sway)
    assert found.head_motion == pytest.approx(100 * 6 / np.sqrt(2) / BOX.width, rel=0.1)
    assert figures([FACE] * N).head_motion == pytest.approx(0, abs=0.05)


def test_expression_is_what_brows_do_and_not_the_mouth() -> None:
    def frowning(share: float) -> Bytes:
        drawn = FACE.copy()
        top = round(BOX.y + 0.3 * BOX.height)
        left, right = round(BOX.x + 0.2 * BOX.width), round(BOX.x + 0.8 * BOX.width)
        drawn[top : top + 3, left:right] = (1 - share) * drawn[top : top + 3, left:right]
        return drawn

    brows, mouth = figures(map(frowning, openings())), figures(map(speaking, openings()))
    assert brows.expression > 5 * mouth.expression
    assert mouth.mouth_motion > 5 * brows.mouth_motion


def test_a_face_is_more_like_itself_than_like_others() -> None:
    own = figures(map(speaking, openings()), portrait_HW3=FACE).likeness
    others = [
        figures([FACE] * 5, portrait_HW3=person(name)).likeness for name in ("bald", "glasses")
    ]
    assert own > 0.95
    assert own > max(others) + 0.05


def test_flicker_is_how_far_the_light_jumps() -> None:
    base = np.clip(FACE, 20, 220)
    found = figures(base + np.uint8(3 * (n % 2)) for n in range(N))
    assert found.flicker == pytest.approx(3, rel=0.05)
    fading = figures(base + np.uint8(n // 10) for n in range(N))
    assert fading.flicker < 0.2


def test_smoothness_is_one_for_an_even_motion_and_low_for_noise() -> None:
    ramp = np.tile(np.arange(SIDE, dtype=np.uint8), (SIDE, 1))
    even = figures(np.repeat((ramp + np.uint8(n))[..., None], 3, 2) for n in range(60))
    rng = np.random.default_rng(0)
    noisy = figures(
        np.clip(128 + 20 * rng.standard_normal((SIDE, SIDE, 1)), 0, 255)
        .astype(np.uint8)
        .repeat(3, 2)
        for _ in range(60)
    )
    assert even.smoothness == pytest.approx(1, abs=0.01)
    assert noisy.smoothness == pytest.approx(1 - np.sqrt(6) / (2 * np.sqrt(2)), abs=0.02)
    assert figures([FACE] * N).smoothness is None


@pytest.mark.parametrize("jump", [1, 3])
def test_the_seam_ratio_is_the_jump_at_borders(jump: int) -> None:
    light = np.cumsum([jump if n % 20 == 0 else 1 for n in range(N)])
    base = np.full((SIDE, SIDE, 3), 20, np.uint8)
    found = figures((base + np.uint8(v) for v in light), keys=range(0, N, 20))
    assert found.seam_ratio == pytest.approx(jump, abs=0.05)


def changes(rng: np.random.Generator, jump: float) -> list[KeyChange]:
    """Key frames whose change is that nearby times `jump`, all of them as spread as another."""
    spread = np.exp(rng.normal(0, 0.1, (400, 7))) * rng.uniform(0.5, 1.5, (400, 1))
    spread[:, 0] *= jump
    return [KeyChange(100 * n, float(at), tuple(near)) for n, (at, *near) in enumerate(spread)]


@pytest.mark.parametrize("jump", [1.0, 1.1, 2.0])
def test_borders_of_segments_are_compared_with_what_is_nearby_and_with_other_key_frames(
    jump: float,
) -> None:
    rng = np.random.default_rng(0)
    borders, others = changes(rng, 1.1 * jump), changes(rng, 1.1)
    for found, expected in (
        (against_nearby(borders), 1.1 * jump), (against_others(borders, others), jump),
    ):  # fmt: skip
        assert found is not None
        assert found.low < expected < found.high
        assert found.high - found.low < 0.05 * expected
        assert found.ratio == pytest.approx(expected, rel=0.02)
        # A border shows more with the probability that normal logarithms have.
        usual = NormalDist(0, 0.1 * np.sqrt(2))
        assert found.auc == pytest.approx(usual.cdf(np.log(expected)), abs=0.05)
    assert against_nearby(borders[:1]) is None
    assert against_others(borders, others[:1]) is None


def test_a_still_image_has_no_lips_and_other_audio_no_sync() -> None:
    truth = openings()
    speech = spoken(truth)
    tracks = seen(map(speaking, truth))
    found = measure(tracks, speech)
    time_shifted = shuffled(tracks, speech, found)
    assert found.lip_sync is not None
    assert found.lip_sync > 0.9
    assert abs(time_shifted.lip_sync or 0) < 0.1
    assert replace(time_shifted, lip_sync=0, lip_lag_ms=0, silence=0) == replace(
        found, lip_sync=0, lip_lag_ms=0, silence=0
    )
    held = still(FACE, N, FPS, speech, FACE)
    assert (held.lip_sync, held.lip_lag_ms, held.mouth_motion) == (0, None, 0)
    assert held.likeness == pytest.approx(1, abs=1e-3)
    longer = still(FACE, 10 * N, FPS, spoken(np.tile(truth, 10)), FACE)
    assert asdict(longer) == pytest.approx(asdict(held))


def test_silence_is_the_motion_of_the_mouth_in_pauses() -> None:
    pause = np.zeros(N, bool)
    pause[45:] = True
    quiet, chewing = openings(), openings()
    quiet[45:] = 0
    shut = figures(map(speaking, quiet), spoken(openings(), pause), pause_N=pause)
    chewed = figures(map(speaking, chewing), spoken(openings(), pause), pause_N=pause)
    assert shut.silence is not None
    assert chewed.silence is not None
    assert shut.silence < 0.1
    assert chewed.silence > 0.5


@pytest.mark.parametrize(
    ("num_frames", "parts"),
    [(3, [(0, 3)]), (64, [(0, 30), (30, 64)]), (65, [(0, 30), (30, 60), (60, 65)])],
)
def test_parts_cover_the_video_and_a_short_rest_belongs_to_the_last(
    num_frames: int, parts: list[tuple[int, int]]
) -> None:
    analyser = FrameAnalyser(Fraction(1))
    for _ in range(num_frames):
        analyser.add(Shown(FACE, is_key=False))
    found = measure_parts(analyser.tracks(), None)
    assert [(part.start_s, part.stop_s) for part in found] == parts


def test_the_length_error_is_image_less_audio() -> None:
    info = VideoInfo(64, 64, 25, Fraction(25), 1.0, 0.99, "h264", "aac", "yuv420p", True, True)
    assert length_error_ms(info) == pytest.approx(10)
    assert length_error_ms(replace(info, audio_duration_s=0.0)) is None


def test_hearing_finds_voice_and_pauses(tmp_path: Path) -> None:
    time_S = np.arange(3 * 16000) / 16000
    on_S = (time_S % 2) < 1
    tone_S = (0.3 * on_S * np.sign(np.sin(2 * np.pi * 220 * time_S))).astype(np.float32)
    soundfile.write(tmp_path / "tone.wav", tone_S, 16000)
    decode_audio(str(tmp_path / "tone.wav"), tmp_path / "heard.wav")
    speech = analyse_speech(tmp_path / "heard.wav", N, FPS)
    middles_s = (np.arange(N) + 0.5) / 25
    inside = np.abs(middles_s % 1 - 0.5) < 0.4
    loud = middles_s % 2 < 1
    assert np.ptp(speech.voice_db_N[inside & loud]) < 1
    assert np.ptp(speech.voice_db_N) == pytest.approx(40, abs=1)
    assert (speech.pause_N == ~loud)[inside].all()


def test_a_file_is_watched_with_its_key_frames(tmp_path: Path) -> None:
    truth = openings()
    video = tmp_path / "video.mp4"
    encode_frames(map(speaking, truth), video, EncodeSettings(gop_frames=20, preset="ultrafast"))
    tracks = analyse_frames(video)
    assert len(tracks) == N
    assert set(range(0, N, 20)) <= set(tracks.keys)
    assert correlation(tracks.mouth_N, truth) > 0.95


def test_what_is_no_video_is_said(tmp_path: Path) -> None:
    video = tmp_path / "video.mp4"
    video.write_bytes(b"no video at all")
    with pytest.raises(VerifyError):
        analyse_frames(video)


def test_every_figure_is_defined() -> None:
    assert [entry.name for entry in ENTRIES] == [field.name for field in fields(Measures)]
