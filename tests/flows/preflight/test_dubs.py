"""A row that dubs a film: each mistake gets one sentence with its column and a remedy."""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from flows.preflight.checks import preflight
from flows.rows.config import RenderConfig, load_preset
from flows.rows.manifest import open_manifest
from flows.rows.plan import plan_row
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow
from sonic_ops.core.config import LengthPolicy
from sonic_ops.core.errors import LengthsDifferError, SonicError
from sonic_ops.film.lengths import lengths_of
from tests import films


@dataclass(frozen=True)
class Files:
    """A film of a second and a recording for it."""

    folder: Path

    def check(self, **cells: str) -> PlannedRow | BadRow:
        given = {"id": "a", "video": "talk.mp4", "audio": "talk.wav", "output": "out.mp4"} | cells
        given = {name: value for name, value in given.items() if value}
        manifest = self.folder / "rows.csv"
        manifest.write_text(f"{','.join(given)}\n{','.join(given.values())}\n")
        with open_manifest(str(manifest)) as opened:
            (found,) = preflight(opened, CONFIG, weights_sha256="0")
        assert isinstance(found, PlannedRow | BadRow)
        return found

    def problem(self, **cells: str) -> SonicError:
        found = self.check(**cells)
        assert isinstance(found, BadRow), found
        (error,) = found.errors
        return error

    def write_audio(self, name: str, seconds: float) -> None:
        rng = np.random.default_rng(0)
        samples = 0.1 * rng.standard_normal(round(seconds * 16_000))
        soundfile.write(self.folder / name, samples.astype(np.float32), 16_000)


CONFIG: RenderConfig = load_preset("lite")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    made = Files(tmp_path_factory.mktemp("rows"))
    films.write_film(made.folder / "talk.mp4", films.talking(25))
    made.write_audio("talk.wav", 1.0)
    made.write_audio("long.wav", 2.0)
    return made


def test_a_film_is_planned(files: Files) -> None:
    found = files.check()
    assert isinstance(found, PlannedRow)
    assert found.film is not None
    assert Fraction(found.film.film_s) == 1
    assert found.film.stop_s is None
    assert found.image_size == films.SIZE


def test_a_row_has_one_of_portrait_and_video(files: Files) -> None:
    both = files.problem(portrait="talk.mp4")
    assert (both.field, "both" in both.message) == ("video", True)
    neither = files.problem(video="")
    assert neither.field == "portrait"
    assert "`video`" in neither.remedy


@pytest.mark.parametrize(
    ("column", "value"),
    [("fps", "30"), ("scale_to", "720"), ("start", "0.5"), ("framing", "face")],
)
def test_a_film_keeps_its_own(column: str, value: str, files: Files) -> None:
    found = files.check(**{column: value})
    assert isinstance(found, BadRow)
    (message,) = (error.message for error in found.errors if error.field == column)
    assert "a film keeps its own" in message


def test_length_is_for_films(files: Files) -> None:
    assert files.problem(video="", portrait="talk.mp4", length="cut").field == "length"
    assert "'stretch' is not one of" in files.problem(length="stretch").message


def test_audio_of_another_length_is_refused(files: Files) -> None:
    error = files.problem(audio="long.wav")
    assert isinstance(error, LengthsDifferError)
    assert (error.field, "1.00 s" in error.message, "2.00 s" in error.message) == (
        "length",
        True,
        True,
    )
    assert isinstance(files.check(audio="long.wav", length="cut"), PlannedRow)
    files.write_audio("short.wav", 0.5)
    assert isinstance(files.problem(audio="short.wav"), LengthsDifferError)


@pytest.mark.parametrize(
    ("policy", "film_s", "audio_s", "stop_s", "audio_end_s"),
    [
        ("refuse", 10, 10.08, None, None),
        ("cut", 10, 12.0, None, 10.0),
        ("cut", 10, 8.0, 8, None),
        ("pad", 10, 8.0, None, None),
        ("hold", 10, 12.0, 12, None),
        ("loop", 10, 8.0, 8, None),
        ("bounce", 10, 12.0, 12, None),
    ],
)
def test_lengths(
    policy: LengthPolicy,
    film_s: int,
    audio_s: float,
    stop_s: int | None,
    audio_end_s: float | None,
) -> None:
    shown = lengths_of(policy, Fraction(film_s), audio_s)
    assert (shown.stop_s, shown.audio_end_s) == (stop_s, audio_end_s)


def test_silence_makes_no_film_longer() -> None:
    with pytest.raises(LengthsDifferError, match=r"10\.00 s and the audio 12\.00 s"):
        lengths_of("pad", Fraction(10), 12.0)


def no_face(path: Path) -> None:
    films.write_film(path, films.landscape(25))


def one_picture(path: Path) -> None:
    films.write_film(path, films.talking(1))


def only_audio(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000, layout="mono")
        for number in range(10):
            silence = np.zeros((1, 1024), np.float32)
            frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def hdr(path: Path) -> None:
    films.write_film(
        path, films.talking(25), pix_fmt="yuv420p10le", color_primaries=9, color_trc=16,
        colorspace=9,
    )  # fmt: skip


def no_film(path: Path) -> None:
    path.write_text("not a film")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (no_face, "No face was found in the film at 4 moments"),
        (one_picture, "it has a single frame"),
        (only_audio, "its format is unknown, or it is damaged"),
        (hdr, "the film is HDR"),
        (no_film, "its format is unknown, or it is damaged"),
    ],
)
def test_films_that_cannot_be_dubbed(make: Callable[[Path], None], said: str, files: Files) -> None:
    make(files.folder / f"{make.__name__}.mp4")
    error = files.problem(video=f"{make.__name__}.mp4")
    assert error.field == "video"
    assert said in error.message
    assert error.remedy


def test_two_faces_are_told(files: Files) -> None:
    both = films.beside(films.talking(25), films.talking(25, "ben"))
    films.write_film(files.folder / "two.mp4", both)
    said = "2 faces in the film: the largest of each shot is dubbed"
    found = files.check(video="two.mp4")
    assert isinstance(found, PlannedRow)
    assert said in found.notes
    chosen = files.check(video="two.mp4", face="2")
    assert isinstance(chosen, PlannedRow)
    assert said not in chosen.notes


def test_a_plan_counts_shots_and_frames_with_a_face(files: Files) -> None:
    scene = films.talking(25) + films.landscape(25) + films.talking(25, "ben")
    films.write_film(files.folder / "shots.mp4", scene)
    files.write_audio("shots.wav", 3.0)
    found = files.check(video="shots.mp4", audio="shots.wav")
    assert isinstance(found, PlannedRow)
    assert found.film is not None
    assert (found.film.num_shots, found.film.num_face_shots) == (3, 2)
    assert found.film.faces == pytest.approx(2 / 3, abs=0.1)
    second = plan_row(1.5 * found.film.faces, CONFIG.sampling)  # of a shot with a face
    assert found.plan.num_frames == 2 * second.num_frames
    assert found.plan.num_unet_calls == 2 * second.num_unet_calls
    assert (found.plan.num_output_frames, found.plan.video_s) == (75, 3.0)


def test_a_film_that_is_not_there(files: Files) -> None:
    error = files.problem(video="none.mp4")
    assert (error.field, "none.mp4" in error.message) == ("video", True)


def test_a_dub_has_audio_and_times(files: Files) -> None:
    assert files.problem(output="out.gif").field == "output"


def test_another_film_renders_again(files: Files) -> None:
    one, other = files.check(), files.check(length="cut")
    assert isinstance(one, PlannedRow)
    assert isinstance(other, PlannedRow)
    assert one.fingerprint != other.fingerprint


@pytest.mark.slow
def test_three_hours_are_planned_and_not_loaded(files: Files) -> None:
    """Its packets are those of a second, again and again: they are counted, a few decoded."""
    hours, path = 3, files.folder / "long.mp4"
    with av.open(str(files.folder / "talk.mp4")) as source, av.open(str(path), "w") as target:
        template = source.streams.video[0]
        packets = [p for p in source.demux(template) if p.size]
        times = [(p.pts or 0, p.dts or 0) for p in packets]
        stream = target.add_stream_from_template(template)
        second = round(1 / template.time_base) if template.time_base else 0
        for number in range(3600 * hours):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.stream, packet.time_base = stream, template.time_base
                packet.pts, packet.dts = pts + number * second, dts + number * second
                target.mux_one(packet)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = files.check(video="long.mp4", length="pad")
    assert isinstance(found, PlannedRow), found
    assert found.film is not None
    assert float(Fraction(found.film.film_s)) == pytest.approx(3600 * hours, abs=0.1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 300_000
