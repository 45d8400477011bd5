"""Facts of verdicts: a good video is ready, and one that was made bad is not, for that reason.

Shape letters: N output frames, H, W rows and columns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from sonic_ops.core.constants import FAILED, LOOK, READY, SAMPLE_RATE_HZ
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.muxing import mux
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.quality.analysis import analyse_video
from sonic_ops.quality.verdict import Verdict, judge
from tests.speaker import FPS, SIDE, Frames, Samples, film, portrait_of, write_video

PERSON, OTHER = 2, 9


@dataclass(frozen=True)
class Take:
    """A good film and the portrait of the person in it."""

    frames: Frames
    samples: Samples
    portrait: Frames
    folder: Path

    def verdict(
        self,
        frames: Frames | None = None,
        samples: Samples | None = None,
        portrait: Frames | None = None,
    ) -> Verdict:
        """Judge the film with some of it replaced."""
        video = write_video(
            self.folder / "film.mp4",
            self.frames if frames is None else frames,
            self.samples if samples is None else samples,
        )
        return judge(analyse_video(video, self.portrait if portrait is None else portrait))


@pytest.fixture(scope="module")
def take(tmp_path_factory: pytest.TempPathFactory) -> Take:
    frames, samples = film(PERSON)
    return Take(frames, samples, portrait_of(PERSON), tmp_path_factory.mktemp("take"))


def blurred(frames: Frames, span: slice, sigma: float = 1.5) -> Frames:
    soft = frames.copy()
    soft[span] = [cv2.GaussianBlur(frame, (0, 0), sigma) for frame in frames[span]]
    return soft


@pytest.mark.parametrize("person", [PERSON, 5, 23])
def test_a_good_video_is_ready(person: int, tmp_path: Path) -> None:
    frames, samples = film(person)
    video = write_video(tmp_path / "film.mp4", frames, samples)
    assert judge(analyse_video(video, portrait_of(person))).kind == READY


@pytest.mark.parametrize(
    ("shift_ms", "kind", "reason"),
    [
        (120, LOOK, "ms before the audio"),
        (-120, FAILED, "ms after the audio"),
        (20, READY, "within their bars"),
    ],
)
def test_audio_that_is_shifted_is_told_with_its_direction(
    take: Take, shift_ms: int, kind: str, reason: str
) -> None:
    shifted = np.roll(take.samples, shift_ms * SAMPLE_RATE_HZ // 1000)
    verdict = take.verdict(samples=shifted)
    assert (verdict.kind, reason in verdict.reason) == (kind, True), verdict


def test_frames_that_are_dropped_make_the_video_too_short(take: Take) -> None:
    verdict = take.verdict(np.delete(take.frames, slice(40, 46), 0))
    assert verdict.kind == FAILED
    assert verdict.reason.startswith("the video is 240 ms shorter than the audio")
    a_little = np.concatenate([take.samples, np.zeros(SAMPLE_RATE_HZ // 50, np.float32)])
    assert take.verdict(samples=a_little).kind == READY


def test_frames_that_are_added_make_the_video_too_long(take: Take) -> None:
    verdict = take.verdict(np.concatenate([take.frames, take.frames[-1:-5:-1]]))
    assert verdict.kind == FAILED
    assert "the video is 160 ms longer than the audio" in verdict.reason


def test_a_video_without_audio_is_looked_at(take: Take) -> None:
    silent = take.folder / "silent.mp4"
    encode_frames(take.frames, silent, EncodeSettings(preset="ultrafast", gop_frames=FPS))
    verdict = judge(analyse_video(silent, take.portrait))
    assert (verdict.kind, "it has no audio" in verdict.reason) == (LOOK, True), verdict


@pytest.mark.parametrize(("shift_ms", "kind"), [(0, READY), (-120, FAILED)])
def test_audio_that_is_off_at_the_end_alone_is_found(
    shift_ms: int, kind: str, tmp_path: Path
) -> None:
    frames, samples = film(PERSON, num_sentences=2)
    num = 30 * FPS // len(frames) + 1  # more than half a minute as it should be
    shifted = np.roll(samples, shift_ms * SAMPLE_RATE_HZ // 1000)
    audio = np.concatenate([samples] * num + [shifted])
    video = write_video(tmp_path / "film.mp4", np.concatenate([frames] * (num + 1)), audio)
    analysis = analyse_video(video, portrait_of(PERSON))
    assert abs(analysis.measures.lip_lag_ms or 0) < 40  # as a whole it is right
    verdict = judge(analysis)
    assert verdict.kind == kind, verdict
    assert ("after the audio in the 30 s from 0:30 on" in verdict.reason) == (kind != READY)


def test_frames_that_are_dropped_and_leave_gaps_are_missed(take: Take) -> None:
    silent, wav = take.folder / "gaps.mp4", take.folder / "gaps.wav"
    with av.open(str(silent), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = SIDE, SIDE, "yuv420p"
        for index, picture in enumerate(take.frames):
            if index % 10 != 5:
                frame = av.VideoFrame.from_ndarray(picture)
                frame.pts, frame.time_base = index, Fraction(1, FPS)
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    soundfile.write(wav, take.samples, SAMPLE_RATE_HZ)
    mux(silent, Soundtrack(str(wav)), take.folder / "film.mp4")
    verdict = judge(analyse_video(take.folder / "film.mp4", take.portrait))
    assert verdict.kind == FAILED
    assert "frames are missing" in verdict.reason


@pytest.mark.parametrize(("num_held", "kind"), [(2, READY), (12, LOOK), (40, FAILED)])
def test_frames_that_are_held_are_found_with_their_time(
    take: Take, num_held: int, kind: str
) -> None:
    held = take.frames.copy()
    held[30 : 30 + num_held] = held[30]
    verdict = take.verdict(held)
    assert verdict.kind == kind, verdict
    assert ("the video stands still" in verdict.reason) == (kind != READY)


@pytest.mark.parametrize("span", [slice(40, None), slice(40), slice(25, 60)])
def test_a_blurred_part_is_found_wherever_it_is(take: Take, span: slice) -> None:
    verdict = take.verdict(blurred(take.frames, span))
    assert verdict.kind == FAILED
    assert "the face is blurred at" in verdict.reason


@pytest.mark.parametrize(("sigma", "kind"), [(0.4, READY), (0.5, LOOK)])
def test_a_half_that_is_a_little_soft_is_looked_at_from_some_point_on(
    take: Take, sigma: float, kind: str
) -> None:
    verdict = take.verdict(blurred(take.frames, slice(40, None), sigma))
    assert verdict.kind == kind, verdict
    assert ("the face is blurred at" in verdict.reason) == (kind != READY)


@pytest.mark.parametrize(("num_sentences", "kinds"), [(1, {LOOK, FAILED}), (2, {FAILED})])
def test_a_frozen_mouth_does_not_follow_the_speech(
    num_sentences: int, kinds: set[str], tmp_path: Path
) -> None:
    frames, samples = film(5, num_sentences=num_sentences)
    mouth = slice(76, 109), slice(38, 90)
    frames[:, *mouth] = frames[0][mouth]
    video = write_video(tmp_path / "film.mp4", frames, samples)
    verdict = judge(analyse_video(video, portrait_of(5)))
    assert verdict.kind in kinds  # three seconds agree with some audio by chance
    assert num_sentences == 1 or "the mouth does not follow the speech" in verdict.reason


@pytest.mark.parametrize("person", [9, 18])
def test_a_frozen_mouth_that_agrees_by_chance_is_looked_at(person: int, tmp_path: Path) -> None:
    frames, samples = film(person, first_sentence=person)
    mouth = slice(76, 109), slice(38, 90)
    frames[:, *mouth] = frames[0][mouth]
    verdict = judge(
        analyse_video(write_video(tmp_path / "film.mp4", frames, samples), portrait_of(person))
    )
    assert verdict == Verdict(LOOK, "the mouth hardly moves while somebody speaks")


def test_another_person_is_not_the_one_of_the_portrait(take: Take) -> None:
    verdict = take.verdict(portrait=portrait_of(OTHER))
    assert verdict.kind == FAILED
    assert "unlike that of the portrait" in verdict.reason


@pytest.mark.parametrize(("added", "kind"), [(1, READY), (12, LOOK), (60, FAILED)])
def test_colours_that_change_are_seen(take: Take, added: int, kind: str) -> None:
    drifting = take.frames.astype(np.int16)
    drifting[25:] = (drifting[25:] + np.array([added, 0, -added])).clip(0, 255)
    verdict = take.verdict(drifting.astype(np.uint8))
    assert verdict.kind == kind, verdict
    assert ("the colours change" in verdict.reason) == (kind != READY)


def test_a_mouth_that_chews_in_a_pause_is_looked_at(take: Take) -> None:
    pause, chewing = np.zeros(2 * SAMPLE_RATE_HZ, np.float32), take.frames[20:70]
    samples = np.concatenate([take.samples, pause])
    shut = np.repeat(take.frames[-1:], 50, axis=0)
    ready = take.verdict(np.concatenate([take.frames, shut]), samples)
    assert "moves in pauses" not in ready.reason
    verdict = take.verdict(np.concatenate([take.frames, chewing]), samples)
    assert "the mouth moves in pauses" in verdict.reason


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda take: take.verdict(samples=0 * take.samples), "lip sync cannot be measured"),
        (lambda take: take.verdict(np.full_like(take.frames, 90)), "no face was found"),
    ],
)
def test_what_cannot_be_measured_is_never_ready(
    take: Take, damage: Callable[[Take], Verdict], reason: str
) -> None:
    verdict = damage(take)
    assert verdict.kind in (LOOK, FAILED)
    assert reason in verdict.reason
