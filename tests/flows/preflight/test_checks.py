"""Before any compute: bad rows are named, good rows are planned, finished rows are known."""

import gc
import os
import tracemalloc
import wave
from pathlib import Path
from typing import ClassVar

import av
import fsspec
import numpy as np
import pytest
import soundfile
from fsspec import AbstractFileSystem
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from cluster.pool.costs import RowCosts
from flows.preflight.checks import preflight
from flows.preflight.subtitle_files import write_side_car
from flows.rows.config import RenderConfig
from flows.rows.manifest import open_manifest
from flows.rows.plan import most_workers
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow
from flows.rows.selection import Selection
from flows.state.receipts import write_receipt
from flows.state.results import RowResult, rejected, sentence_of
from sonic_ops.core.errors import FieldError, InputError
from sonic_ops.media.subtitles import Cue
from tests.flows.conftest import FACE, SPEECH, Cells, Sorted, WriteManifest, sorted_rows


class NoCredentialsError(Exception):
    """As boto3 raises it: no OSError."""


class LockedFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """A store that lets nobody in."""

    protocol = "locked"

    def info(self, *arguments: object, **settings: object) -> None:
        raise NoCredentialsError("Unable to locate credentials")

    open = ls = makedirs = pipe_file = put_file = exists = isfile = isdir = info


fsspec.register_implementation("locked", LockedFileSystem)


class Checked:
    """The preflight of a manifest with a good row first and other rows after it."""

    def __init__(self, config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> None:
        self._config, self._good, self._write = config, good, write_manifest

    def rows(self, *rows: Cells) -> Sorted:
        manifest = self._write(self._good, *rows)
        checked = sorted_rows(manifest, self._config)
        assert checked.planned[0].row.id == "good"
        return checked

    def other(self, **cells: object) -> Cells:
        output = str(Path(str(self._good["output"])).with_name("other.mp4"))
        return self._good | {"id": "other", "output": output} | cells

    def bad(self, **cells: object) -> BadRow:
        """The one row of two that is bad; the result says so, with a column and a remedy."""
        checked = self.rows(self.other(**cells))
        (row,) = checked.bad
        result = rejected(row)
        assert (result.status, result.id) == ("failed", row.id)
        assert result.remedy
        assert all(isinstance(error, InputError) and error.field for error in row.errors)
        return row

    def planned(self, **cells: object) -> PlannedRow:
        return self.rows(self.other(**cells)).planned[-1]


@pytest.fixture
def check(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> Checked:
    return Checked(config, good, write_manifest)


def only_error(row: BadRow) -> tuple[str, str | None, str]:
    (error,) = row.errors
    return type(error).__name__, error.field, sentence_of(error)


@pytest.mark.parametrize("column", ["portrait", "audio"])
def test_missing_file(check: Checked, column: str) -> None:
    name, field, sentence = only_error(check.bad(**{column: "nowhere.file"}))
    assert (name, field) == ("MissingFileError", column)
    assert "nowhere.file" in sentence


def test_audio_that_is_no_audio(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("this is no audio " * 99)
    assert only_error(check.bad(audio="text.wav"))[:2] == ("AudioUnreadableError", "audio")


def test_audio_file_without_a_byte(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").write_bytes(b"")
    assert only_error(check.bad(audio="empty.wav"))[:2] == ("AudioUnreadableError", "audio")


def write_wav(path: Path, num_samples: int, rate_hz: int = 16_000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(bytes(2 * num_samples))


def test_audio_without_a_sample(check: Checked, tmp_path: Path) -> None:
    write_wav(tmp_path / "none.wav", 0)
    assert only_error(check.bad(audio="none.wav"))[:2] == ("AudioUnreadableError", "audio")


def test_audio_under_one_frame(check: Checked, tmp_path: Path) -> None:
    write_wav(tmp_path / "short.wav", 1279)
    write_wav(tmp_path / "frame.wav", 1280)
    assert only_error(check.bad(audio="short.wav"))[:2] == ("AudioTooShortError", "audio")
    assert check.planned(audio="frame.wav").plan.num_frames == 1


def test_image_as_audio(check: Checked) -> None:
    assert only_error(check.bad(audio=str(FACE)))[:2] == ("AudioUnreadableError", "audio")


def test_image_that_is_no_image(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    assert only_error(check.bad(portrait="text.png"))[:2] == ("ImageUnreadableError", "portrait")
    (tmp_path / "half.png").write_bytes(FACE.read_bytes()[:900])
    assert only_error(check.bad(portrait="half.png"))[:2] == ("ImageUnreadableError", "portrait")


def test_no_face_and_both_ways_out(check: Checked, blank_picture: str) -> None:
    row = check.bad(portrait=blank_picture)
    assert only_error(row)[:2] == ("NoFaceError", "portrait")
    assert "face_box" in row.errors[0].remedy
    assert "full" in row.errors[0].remedy
    assert check.planned(portrait=blank_picture, framing="full").row.framing == "full"
    assert check.planned(portrait=blank_picture, face_box=[40, 40, 50, 50]).notes == ()


def test_a_face_box_outside_the_image(check: Checked) -> None:
    row = check.bad(face_box=[4000, 40, 50, 50])
    assert only_error(row)[:2] == ("FieldError", "face_box")


def test_several_faces_are_noted_and_the_row_renders(check: Checked, tmp_path: Path) -> None:
    face = Image.open(FACE).convert("RGB")
    both = Image.new("RGB", (2 * face.width, face.height))
    both.paste(face, (0, 0))
    both.paste(face.resize((face.width // 2, face.height // 2)), (face.width, 0))
    both.save(tmp_path / "both.png")
    notes = check.planned(portrait="both.png").notes
    assert notes == ("2 faces in the portrait: the largest is used",)


def test_duplicate_id(check: Checked) -> None:
    row = check.bad(id="good")
    assert only_error(row)[1:] == (
        "id",
        "column id: row number 2 has the id 'good' of row number 1",
    )
    assert row.number == 2


def test_two_rows_with_one_output_however_it_is_spelled(check: Checked, good: Cells) -> None:
    folder = Path(str(good["output"])).parent
    name, field, sentence = only_error(check.bad(output=f"{folder}/./x/../good.mp4"))
    assert (name, field) == ("FieldError", "output")
    assert "already the output of row number 1" in sentence


def test_an_output_that_is_an_input(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "sound.mp4").write_bytes(SPEECH.read_bytes())
    row = check.bad(audio="sound.mp4", output="sound.mp4")
    assert only_error(row)[:2] == ("FieldError", "output")


def test_wrong_type(check: Checked) -> None:
    assert only_error(check.bad(seed="seven"))[:2] == ("FieldError", "seed")
    assert only_error(check.bad(portrait=7))[:2] == ("FieldError", "portrait")


def test_required_cell_left_out(check: Checked, good: Cells) -> None:
    row = check.rows({key: value for key, value in good.items() if key != "audio"}).bad[0]
    assert {error.field for error in row.errors} == {"id", "audio"}


def test_output_folder_that_cannot_be_written(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    row = check.bad(output=str(tmp_path / "file" / "folder" / "a.mp4"))
    assert only_error(row)[:2] == ("OutputNotWritableError", "output")


@pytest.mark.parametrize("column", ["portrait", "audio", "output"])
def test_a_protocol_that_nobody_knows(check: Checked, column: str) -> None:
    _, field, sentence = only_error(check.bad(**{column: "carrier-pigeon://a/b.mp4"}))
    assert field == column
    assert "carrier-pigeon" in sentence


@pytest.mark.parametrize("column", ["portrait", "audio", "output"])
@pytest.mark.parametrize("url", ["gs://b/a.mp4", "gs://a.mp4", "a\0b.mp4", "x\0y/b.mp4"])
def test_a_url_that_cannot_be_used_is_a_fault_of_its_cell(
    check: Checked, column: str, url: str
) -> None:
    row = check.bad(**{column: url})
    assert {error.field for error in row.errors} == {column}


@pytest.mark.parametrize("column", ["portrait", "audio"])
def test_a_tilde_in_front_of_a_name_is_part_of_it(check: Checked, column: str) -> None:
    _, field, sentence = only_error(check.bad(**{column: "~ada.png"}))
    assert field == column
    assert "/~ada.png cannot be opened" in sentence


@pytest.mark.parametrize("column", ["portrait", "audio", "output"])
def test_what_a_store_raises_is_a_fault_of_the_cell(check: Checked, column: str) -> None:
    _, field, sentence = only_error(check.bad(**{column: "locked://bucket/a.mp4"}))
    assert field == column
    assert "Unable to locate credentials" in sentence


def test_output_that_is_a_folder(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "folder.mp4").mkdir()
    assert only_error(check.bad(output="folder.mp4"))[:2] == ("OutputNotWritableError", "output")


def test_a_name_that_no_file_system_takes_is_said_before_anything_is_rendered(
    check: Checked,
) -> None:
    row = check.bad(output=f"{'ü' * 120}.mp4")
    assert only_error(row)[:2] == ("FieldError", "output")


class HalfOpenFileSystem(MemoryFileSystem):  # type: ignore[misc]
    """A store that takes files and tells nothing about them."""

    protocol = "halfopen"
    store: ClassVar[dict[str, object]] = {}

    def isdir(self, path: str) -> bool:
        raise NoCredentialsError("Unable to locate credentials")


fsspec.register_implementation("halfopen", HalfOpenFileSystem)


def test_an_output_that_cannot_be_looked_at_is_a_fault_of_the_cell(check: Checked) -> None:
    _, field, sentence = only_error(check.bad(output="halfopen://bucket/a.mp4"))
    assert field == "output"
    assert "Unable to locate credentials" in sentence


def test_start_past_the_end_of_the_audio(check: Checked) -> None:
    assert only_error(check.bad(start=60))[:2] == ("FieldError", "start")


def test_a_part_of_the_audio(check: Checked) -> None:
    assert check.planned(start=1, end=2).plan.num_frames == 12
    late, apart = check.planned(start=1, end=60).notes
    assert late.startswith("the end at 60 s is past the 2.99 s")
    assert apart.endswith("not bit for bit as in a video of all of it")
    assert check.planned(start=0, end=2.9999).notes == ()


def test_what_is_odd_about_the_audio_is_noted_and_the_row_renders(
    check: Checked, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    loud = np.clip(rng.standard_normal((32_000, 2)), -1, 1).astype(np.float32)
    soundfile.write(tmp_path / "loud.wav", loud * (1, 0), 16_000)
    clipped, quiet, channel = check.planned(audio="loud.wav").notes
    assert clipped == "clipping in 4.8 % of the samples"
    assert "quietest tenth" in quiet
    assert channel == "channel 2 of 2 is silent"
    write_wav(tmp_path / "long.wav", 601 * 8_000, 8_000)
    (silent,) = check.planned(audio="long.wav").notes
    assert "almost silent" in silent
    assert silent.endswith("(of the first 10 minutes)")


def test_all_that_is_wrong_with_a_row_comes_at_once(check: Checked, blank_picture: str) -> None:
    row = check.bad(id="good", portrait=blank_picture, audio="nowhere.wav")
    assert [error.field for error in row.errors] == ["id", "audio", "portrait"]
    row = check.bad(seed="seven", portrait=blank_picture)
    assert [error.field for error in row.errors] == ["seed", "portrait"]


def test_subtitles_are_read_before_anything_is_computed(check: Checked, tmp_path: Path) -> None:
    first = "1\n00:00:00,500 --> 00:00:01,000\nHallo\n\n"
    (tmp_path / "a.srt").write_text(first + "2\n00:00:02,000 --> 00:00:03,000\nWelt\n")
    subtitles = str(tmp_path / "a.srt")
    assert check.planned(subtitles=subtitles).notes == ()
    part, note = check.planned(subtitles=subtitles, end=1.5).notes
    assert "rendered by itself" in part
    assert note == "1 of 2 subtitles are inside the part that is rendered"
    (note,) = check.planned(subtitles=subtitles, output="a.gif").notes
    assert "neither audio nor subtitles" in note
    (tmp_path / "a.srt").write_text("Once upon a time")
    error = only_error(check.bad(subtitles=subtitles))
    assert error[:2] == ("SubtitlesUnreadableError", "subtitles")
    error = only_error(check.bad(subtitles="nowhere.srt"))
    assert error[:2] == ("MissingFileError", "subtitles")


def test_subtitles_take_the_place_of_no_file_of_the_user(check: Checked, tmp_path: Path) -> None:
    folder, text = tmp_path / "out", "1\n00:00:00,500 --> 00:00:01,000\nHallo\n"
    (tmp_path / "de.srt").write_text(text)
    talk = {"subtitles": "de.srt", "output": str(folder / "talk.mp4")}
    row = check.planned(**talk).row
    (folder / "talk.srt").write_text("of the user")
    name, field, sentence = only_error(check.bad(**talk))
    assert (name, field) == ("FieldError", "subtitles")
    assert f"would be written to {folder}/talk.srt, which is there" in sentence
    with pytest.raises(FieldError, match="which is there"):
        write_side_car(row, [Cue(500, 1000, "Hallo")])
    assert (folder / "talk.srt").read_text() == "of the user"
    assert check.planned(**talk, language="de").row.language == "de"
    (folder / "talk.srt").write_text(text)
    in_place = talk | {"subtitles": str(folder / "talk.srt")}
    assert check.planned(**in_place).notes == ()
    (folder / "talk.srt").unlink()
    write_side_car(row, [Cue(500, 1000, "Hallo")])
    assert (folder / "talk.srt").read_text() == text
    assert check.planned(**talk).notes == ()  # of an earlier render of the row
    error = only_error(check.bad(**talk | {"output": str(folder / "talk.webm")}))
    assert error[1] == "subtitles"


def test_two_rows_never_share_a_file_of_subtitles(check: Checked, tmp_path: Path) -> None:
    (tmp_path / "de.srt").write_text("1\n00:00:00,500 --> 00:00:01,000\nHallo\n")
    rows = [
        check.other(id=ending, output=f"talk.{ending}", subtitles="de.srt", language=language)
        for ending, language in (("mp4", None), ("webm", None), ("mkv", "de"), ("gif", None))
    ]
    checked = check.rows(*rows)
    assert [planned.row.id for planned in checked.planned[1:]] == ["mp4", "mkv", "gif"]
    _, field, sentence = only_error(checked.bad[0])
    assert field == "subtitles"
    assert f"row number 2 writes its subtitles to {tmp_path}/talk.srt already" in sentence


def write_video(path: Path) -> None:
    """A second of a grey picture with a tone."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 64
        video.pix_fmt = "yuv420p"
        audio = container.add_stream("aac", rate=16_000, layout="mono")
        picture = np.full((64, 64, 3), 128, np.uint8)
        for _ in range(25):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        tone = (0.1 * np.sin(np.arange(16_000) / 8)).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.sample_rate = 16_000
        container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
        container.mux(video.encode(None))


def test_a_video_as_audio_gives_its_audio(check: Checked, tmp_path: Path) -> None:
    write_video(tmp_path / "talk.mp4")
    assert check.planned(audio="talk.mp4").plan.num_frames in (12, 13)


def test_a_video_without_audio(check: Checked, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "mute.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        picture = np.zeros((64, 64, 3), np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    assert only_error(check.bad(audio="mute.mp4"))[:2] == ("AudioUnreadableError", "audio")


def write_long_wav(path: Path, num_seconds: int) -> None:
    """A valid WAV of silence whose samples take no room on the disk."""
    write_wav(path, 0)
    num_bytes = num_seconds * 32_000
    with path.open("r+b") as file:
        for position, value in ((4, 36 + num_bytes), (40, num_bytes)):
            file.seek(position)
            file.write(value.to_bytes(4, "little"))
    os.truncate(path, 44 + num_bytes)


@pytest.mark.slow
def test_ninety_minutes_are_planned_and_not_loaded(
    check: Checked, config: RenderConfig, tmp_path: Path
) -> None:
    write_long_wav(tmp_path / "lecture.wav", 5400)
    check.planned()  # libraries are loaded, models of the detector too
    tracemalloc.start()
    plan = check.planned(audio="lecture.wav").plan
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert plan.num_frames == 67_500
    assert plan.num_output_frames == 135_000
    assert plan.num_windows == 2_700
    assert plan.num_unet_calls == 2_700 * config.sampling.steps
    assert peak_bytes < 32 << 20  # the track holds 173 MB


def test_rows_are_streamed(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    sorted_rows(write_manifest(good), config)  # libraries are loaded
    rows = [good | {"id": f"{i}", "output": f"out/{i}.mp4", "room": f"B {i}"} for i in range(900)]
    kept_bytes = {}
    with open_manifest(write_manifest(*rows)) as manifest:
        tracemalloc.start()
        for number, outcome in enumerate(preflight(manifest, config, weights_sha256="w"), 1):
            assert isinstance(outcome, PlannedRow)
            assert outcome.row.number == number
            if number in (300, 900):
                gc.collect()
                kept_bytes[number] = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
    assert kept_bytes[900] - kept_bytes[300] < 600 * 500  # objects of a row would take 2,000


def test_a_finished_row_is_known_by_receipt_output_and_content(
    check: Checked, good: Cells, config: RenderConfig, write_manifest: WriteManifest
) -> None:
    planned = check.rows().planned[0]
    output = Path(planned.row.output)
    output.write_bytes(b"a video")
    result = RowResult(1, "good", "done", output=str(output), fingerprint=planned.fingerprint)
    write_receipt(result, RowCosts())

    def again(cells: Cells) -> Sorted:
        return sorted_rows(write_manifest(cells), config)

    (skipped,) = again(good | {"room": "B 1"}).finished
    assert (skipped.status, skipped.id) == ("skipped", "good")
    assert again(good | {"seed": 5}).planned
    assert again(good | {"seed": config.seed}).finished
    output.write_bytes(b"a Video")
    assert "has changed since this program wrote it" in only_error(again(good).bad[0])[2]
    output.unlink()
    assert again(good).planned


def test_the_work_folder_has_a_safe_name_beside_the_output(check: Checked, good: Cells) -> None:
    planned = check.planned(id="../a b/ü")
    folder = Path(str(good["output"])).parent / ".sonic"
    assert Path(planned.work).parent == folder
    assert Path(planned.work).name.startswith(f".._a_b_ü-{planned.fingerprint[:12]}-")


def test_rows_share_no_work_folder(check: Checked, good: Cells) -> None:
    folder = Path(str(good["output"])).parent
    ids = ["talk 1", "talk_1", "t" * 61, "t" * 62]
    rows = [check.other(id=name, output=str(folder / f"{i}.mp4")) for i, name in enumerate(ids)]
    planned = check.rows(*rows).planned
    assert len({row.fingerprint for row in planned}) == 1
    assert len({row.work for row in planned}) == len(ids) + 1
    assert check.rows(*rows).planned == planned


def test_only_workers_with_something_to_do_are_asked_for(check: Checked, good: Cells) -> None:
    folder = Path(str(good["output"])).parent
    ends = {"short": 1.0, "middle": 2.0}  # 12 and 25 frames beside the 37 of the good row
    rows = [check.other(id=k, end=v, output=str(folder / f"{k}.mp4")) for k, v in ends.items()]
    plans = [planned.plan for planned in check.rows(*rows).planned]
    assert [plan.num_frames for plan in plans] == [37, 12, 25]
    assert most_workers(plans, segment_frames=10, rows_in_flight=1) == 4
    assert most_workers(plans, segment_frames=10, rows_in_flight=2) == 4 + 3
    assert most_workers(plans, segment_frames=10, rows_in_flight=9) == 4 + 3 + 2
    assert most_workers(plans, segment_frames=100, rows_in_flight=2) == 2


def test_a_row_without_consent_is_refused_where_the_preset_wants_it(
    good: Cells, write_manifest: WriteManifest, config: RenderConfig
) -> None:
    strict = config.model_validate(
        {"models": {"weights": "none"}, "provenance": {"require_consent": True}}
    )
    other = good | {"id": "other", "output": str(good["output"]) + ".mov", "consent": " "}
    manifest = write_manifest(good | {"consent": "form 12"}, other)
    checked = sorted_rows(manifest, strict)
    assert [planned.row.id for planned in checked.planned] == ["good"]
    (error,) = checked.bad[0].errors
    assert error.field == "consent"
    assert "who agreed" in error.message
    assert "form 12" in error.remedy
    assert not sorted_rows(manifest, config).bad


def test_what_renders_is_told_of_work_and_of_nothing_else(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    def told(*rows: Cells, selection: Selection | None = None) -> int:
        calls: list[None] = []
        with open_manifest(write_manifest(*rows)) as lines:
            outcomes = preflight(
                lines,
                config,
                weights_sha256="w",
                selection=selection,
                on_work=lambda: calls.append(None),
            )
            assert len(list(outcomes)) == len(rows)
        return len(calls)

    bad = good | {"id": "bad", "seed": "x", "output": "bad.mp4"}
    assert told(good, bad) == 1
    assert told(bad) == 0
    assert told(good, selection=Selection(ids={"other"})) == 0
