"""Manifests that would replace files of the user: after `validate`, `plan`, `render` and previews,
every file that this program did not make is as it was."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from rich.console import Console

from flows.commands.plan import plan
from flows.console.terminal import open_terminal
from flows.pipeline import tasks
from flows.pipeline.run import RunRequest, run, validate
from flows.preflight.identity import file_key, in_one_form
from flows.preflight.outputs import kind_at
from sonic_ops.core.errors import ConfigError
from sonic_ops.media import finishing
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, SPEECH
from tests.flows.preflight.test_checks import write_video

Rows = list[dict[str, Any]]
Case = Callable[[Path], Rows]

SRT = "1\n00:00:00,100 --> 00:00:00,300\nHallo\n"
READS_ONLY = (
    "seven"  # as a seed: the row is refused, and what it reads is not to be lost all the same
)


def row(row_id: str, output: str, **cells: object) -> dict[str, Any]:
    base = {"portrait": "face.png", "audio": "speech.wav", "end": 0.4}
    return {"id": row_id, "output": output} | base | cells


def reader(**cells: object) -> dict[str, Any]:
    """A row that reads files, and is wrong in another cell."""
    return row("reader", "reader.mp4", seed=READS_ONLY, **cells)


def exists(folder: Path) -> Rows:
    return [row("bad", "talk.mp4")]


def exists_as_animation(folder: Path) -> Rows:
    shutil.copy(folder / "talk.mp4", folder / "old.gif")
    return [row("bad", "old.gif")]


def exists_empty(folder: Path) -> Rows:
    (folder / "empty.mp4").touch()
    return [row("bad", "empty.mp4")]


def own_audio(folder: Path) -> Rows:
    return [row("bad", "talk.mp4", audio="talk.mp4")]


def audio_of_an_earlier_row(folder: Path) -> Rows:
    return [reader(audio="talk.mp4"), row("bad", "talk.mp4")]


def audio_of_a_later_row(folder: Path) -> Rows:
    return [row("bad", "talk.mp4"), reader(audio="talk.mp4")]


def portrait_of_another_row(folder: Path) -> Rows:
    return [reader(portrait="talk.mp4"), row("bad", "talk.mp4")]


def truth_of_another_row(folder: Path) -> Rows:
    return [reader(truth="talk.mp4"), row("bad", "talk.mp4")]


def input_that_is_not_there_yet(folder: Path) -> Rows:
    return [row("bad", "new.mp4"), reader(audio="x/../new.mp4")]


def symbolic_link(folder: Path) -> Rows:
    (folder / "link.mp4").symlink_to("talk.mp4")
    return [row("bad", "link.mp4")]


def link_to_nothing(folder: Path) -> Rows:
    (folder / "link.mp4").symlink_to("nothing.mp4")
    return [row("bad", "link.mp4")]


def hard_link(folder: Path) -> Rows:
    (folder / "hard.mp4").hardlink_to(folder / "talk.mp4")
    return [row("bad", "hard.mp4"), reader(audio="talk.mp4")]


def hard_link_to_the_manifest(folder: Path) -> Rows:
    (folder / "m.jsonl").touch()
    (folder / "hard.mp4").hardlink_to(folder / "m.jsonl")
    return [row("bad", "hard.mp4")]


def linked_folder(folder: Path) -> Rows:
    (folder / "link").symlink_to(folder, target_is_directory=True)
    return [row("bad", "link/talk.mp4"), reader(audio="talk.mp4")]


def twins_through_a_link(folder: Path) -> Rows:
    (folder / "real").mkdir()
    (folder / "link").symlink_to("real", target_is_directory=True)
    return [row("reader", "real/a.mp4", seed=READS_ONLY), row("bad", "link/a.mp4", seed=2)]


def twins_in_folders_to_come(folder: Path) -> Rows:
    (folder / "link").symlink_to("real", target_is_directory=True)  # to nothing yet
    return [row("reader", "real/x/a.mp4", seed=READS_ONLY), row("bad", "link/x/a.mp4")]


def twins_in_two_unicode_forms(folder: Path) -> Rows:
    forms = [normalize(form, "é.mp4") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    return [row("reader", forms[0], seed=READS_ONLY), row("bad", forms[1])]


def dots(folder: Path) -> Rows:
    return [row("bad", f"./x/../../{folder.name}/talk.mp4", audio="talk.mp4")]


def file_url(folder: Path) -> Rows:
    return [row("bad", f"file://{folder}/talk.mp4", audio="talk.mp4")]


def quoted_file_url(folder: Path) -> Rows:
    (folder / "my talk.mp4").write_bytes((folder / "talk.mp4").read_bytes())
    return [row("bad", f"file://localhost{folder}/my%20talk.mp4")]


def another_protocol(folder: Path) -> Rows:
    return [row("bad", f"local://{folder}/talk.mp4"), reader(audio="talk.mp4")]


def through_a_cache(folder: Path) -> Rows:
    return [row("bad", f"simplecache::file://{folder}/talk.mp4"), reader(audio="talk.mp4")]


def a_folder(folder: Path) -> Rows:
    (folder / "films.mp4").mkdir()
    shutil.copy(folder / "talk.mp4", folder / "films.mp4" / "talk.mp4")
    return [row("bad", "films.mp4")]


def a_pipe(folder: Path) -> Rows:
    os.mkfifo(folder / "pipe.mp4")
    return [row("bad", "pipe.mp4")]


def inside_a_file(folder: Path) -> Rows:
    return [row("bad", "talk.mp4/a.mp4")]


def subtitles_exist(folder: Path) -> Rows:
    (folder / "a.srt").write_text("of the user")
    return [row("bad", "a.mp4", subtitles="de.srt")]


def subtitles_of_another_row(folder: Path) -> Rows:
    (folder / "a.en.srt").write_text(SRT)
    return [row("bad", "a.mp4", subtitles="de.srt", language="en"), reader(subtitles="a.en.srt")]


def subtitles_link(folder: Path) -> Rows:
    (folder / "a.srt").symlink_to("de.srt")
    return [row("bad", "a.mp4", subtitles="de.srt")]


def subtitles_twins(folder: Path) -> Rows:
    (folder / "link").symlink_to(folder, target_is_directory=True)
    texts = {"subtitles": "de.srt"}
    (folder / "a.vtt").write_text("of the user")
    (folder / "vtt.vtt").write_text(f"WEBVTT\n\n{SRT}")
    return [
        row("bad", "link/a.webm", subtitles="vtt.vtt"),
        row("bad too", "a.mp4", **texts | {"subtitles": "a.vtt"}),
    ]


def receipt_of_the_user(folder: Path) -> Rows:
    (folder / ".sonic" / "receipts").mkdir(parents=True)
    (folder / ".sonic" / "receipts" / "a.mp4.json").write_text("of the user")
    return [row("bad", "a.mp4")]


def changed_since(folder: Path) -> Rows:
    (folder / ".sonic" / "receipts").mkdir(parents=True)
    receipt = {"result": {"fingerprint": "x"}, "size_bytes": 1, "sha256": "0"}
    (folder / ".sonic" / "receipts" / "talk.mp4.json").write_text(json.dumps(receipt))
    return [row("bad", "talk.mp4")]


REFUSED: list[Case] = [
    exists, exists_as_animation, exists_empty, own_audio, audio_of_an_earlier_row,
    audio_of_a_later_row, portrait_of_another_row, truth_of_another_row,
    input_that_is_not_there_yet, symbolic_link, link_to_nothing, hard_link,
    hard_link_to_the_manifest, linked_folder, twins_through_a_link, twins_in_folders_to_come,
    twins_in_two_unicode_forms, dots, file_url, quoted_file_url, another_protocol, through_a_cache,
    a_folder, a_pipe, inside_a_file, subtitles_exist, subtitles_of_another_row, subtitles_link,
    subtitles_twins, receipt_of_the_user, changed_since,
]  # fmt: skip
NEVER: list[Case] = [  # not even with --overwrite
    own_audio, audio_of_an_earlier_row, audio_of_a_later_row, portrait_of_another_row,
    truth_of_another_row, symbolic_link, link_to_nothing, hard_link, hard_link_to_the_manifest,
    linked_folder, dots, file_url, another_protocol, through_a_cache, a_folder, a_pipe,
    subtitles_of_another_row, subtitles_link, receipt_of_the_user,
]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(FACE, folder / "face.png")
    shutil.copy(SPEECH, folder / "speech.wav")
    (folder / "de.srt").write_text(SRT)
    write_video(folder / "talk.mp4")
    return folder


def state_of(folder: Path) -> dict[str, str]:
    """Every file, link and pipe of a folder, and the hash of what it holds."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink())
        if path.is_symlink()
        else hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "no file"
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }


class Commands:
    """The three commands on a manifest; what they print."""

    def __init__(self, preset: str, folder: Path) -> None:
        self._preset, self._folder = preset, folder

    def manifest(self, rows: Rows) -> str:
        path = self._folder / "m.jsonl"
        path.write_text("\n".join(map(json.dumps, rows)))
        return str(path)

    def each(self, rows: Rows, **wishes: Any) -> list[tuple[int, str]]:
        """Exit status and text of `validate`, `plan`, `render`, and of a render of previews."""
        request = {"manifest": self.manifest(rows), "preset": self._preset, "output_folder": None}
        first = RunRequest(**request | wishes)
        previews = RunRequest(**request | wishes | {"previews": "only"})
        ways = ((validate, first), (plan, first), (run, first), (run, previews))
        return [said_by(command, wish) for command, wish in ways]


def said_by(command: Callable[..., int], request: RunRequest) -> tuple[int, str]:
    text = io.StringIO()
    return command(request, open_terminal(console=Console(file=text, width=500))), text.getvalue()


@pytest.fixture
def commands(bench: Bench, folder: Path) -> Commands:
    return Commands(bench.preset(), folder)


def assert_refused(commands: Commands, folder: Path, case: Case, **wishes: Any) -> None:
    rows = case(folder)
    commands.manifest(rows)
    before = state_of(folder)
    for status, text in commands.each(rows, **wishes):
        assert status == 1
        assert "(bad), column " in text
    after = state_of(folder)
    assert before == {name: after[name] for name in before}
    made = {name for name in after.keys() - before.keys() if not name.startswith(".sonic/")}
    assert made <= {"m.results.parquet", "link/m.results.parquet"}, "nothing was rendered"


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_a_file_of_the_user_is_not_replaced(commands: Commands, folder: Path, case: Case) -> None:
    assert_refused(commands, folder, case)


@pytest.mark.parametrize("case", NEVER, ids=lambda case: case.__name__)
def test_a_file_that_is_read_is_not_replaced_with_overwrite_either(
    commands: Commands, folder: Path, case: Case
) -> None:
    assert_refused(commands, folder, case, overwrite=True)


def test_both_rows_are_named(commands: Commands, folder: Path) -> None:
    said = commands.each(audio_of_a_later_row(folder))[0][1]
    assert f"(bad), column output: {folder}/talk.mp4 is the audio of row number 2 and " in said
    said = commands.each(audio_of_an_earlier_row(folder))[0][1]
    assert f"(bad), column output: {folder}/talk.mp4 is the audio of row number 1 and " in said
    said = commands.each(twins_through_a_link(folder))[0][1]
    assert f"{folder}/link/a.mp4 is already the output of row number 1" in said


@pytest.mark.parametrize("name", ["m.results.parquet", "m.report.html", "m.measures.parquet"])
def test_a_table_or_page_of_the_user_is_not_replaced(
    commands: Commands, folder: Path, name: str
) -> None:
    (folder / name).write_text("of the user")
    manifest = commands.manifest([row("a", "a.mp4")])
    before = state_of(folder)
    for command in (validate, plan, run):
        request = RunRequest(manifest, commands._preset, None, report=True)
        with pytest.raises(ConfigError, match=f"{name} already exists"):
            said_by(command, request)
    assert state_of(folder) == before


def test_files_beside_a_journal_are_left_alone(commands: Commands, folder: Path) -> None:
    notes = folder / "m.results.journal"
    notes.mkdir()
    (notes / "notes.txt").write_text("of the user")
    (notes / "notes.jsonl").write_text("of the user")
    rows = exists(folder)
    commands.manifest(rows)
    before = state_of(folder)
    assert [status for status, _ in commands.each(rows)] == [1] * 4
    after = state_of(folder)
    assert before == {name: after[name] for name in before}


def test_an_output_folder_leads_to_files_of_the_user(commands: Commands, folder: Path) -> None:
    elsewhere = folder.parent / "elsewhere"
    shutil.copytree(folder, elsewhere)
    before = state_of(elsewhere)
    said = commands.each([row("bad", "../talk.mp4")], output_folder=str(elsewhere))
    assert [status for status, _ in said] == [1] * 4
    assert f"(bad), column output: {elsewhere}/talk.mp4 already exists" in said[0][1]
    after = state_of(elsewhere)
    assert before == {name: after[name] for name in before}


@pytest.mark.flow
def test_a_preview_takes_the_place_of_no_file(
    commands: Commands, bench: Bench, folder: Path
) -> None:
    (folder / "a.preview.mp4").write_bytes(b"of the user")
    shutil.copy(folder / "talk.mp4", folder / "b.preview.mp4")
    rows = [row("a", "a.mp4"), row("b", "b.mp4", portrait="b.preview.mp4", framing="full")]
    before = state_of(folder)
    request = RunRequest(commands.manifest(rows), bench.preset(), None, previews="only")
    status, said = said_by(run, request)
    assert status == 1
    assert f"{folder}/a.preview.mp4 already exists and was not written by this program" in said
    assert f"{folder}/b.preview.mp4 is the portrait of this row and would be lost" in said
    after = state_of(folder)
    assert before == {name: after[name] for name in before}


@pytest.mark.flow
def test_a_file_that_appears_meanwhile_is_not_replaced(
    commands: Commands, bench: Bench, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def slowly(*arguments: Any) -> Any:
        """The last step, during which the user saves a film."""
        info = finishing.mux_video(*arguments)
        (folder / "a.mp4").write_bytes(b"of the user")
        return info

    request = RunRequest(commands.manifest([row("a", "a.mp4")]), bench.preset(), None)
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "mux_video", slowly)
        status, said = said_by(run, request)
    assert status == 1
    assert f"{folder}/a.mp4 already exists and was not written by this program" in said
    assert (folder / "a.mp4").read_bytes() == b"of the user"
    assert not list(folder.glob(".sonic/receipts/*"))
    assert not list(folder.glob(".*.draft"))
    assert said_by(run, request)[0] == 1
    assert (folder / "a.mp4").read_bytes() == b"of the user"
    overwriting = RunRequest(request.manifest, request.preset, None, overwrite=True)
    assert said_by(run, overwriting)[0] == 0
    assert (folder / "a.mp4").read_bytes() != b"of the user"
    assert said_by(run, request)[0] == 0  # it is ours now
    (folder / "a.mp4").write_bytes(b"edited")
    assert said_by(run, request)[0] == 1
    assert (folder / "a.mp4").read_bytes() == b"edited"


def test_names_are_folded_where_the_disk_does(tmp_path: Path) -> None:
    assert in_one_form("É.MP4", ignores_case=True) == in_one_form("é.mp4", ignores_case=True)
    assert in_one_form("É.MP4", ignores_case=False) != in_one_form("é.mp4", ignores_case=False)
    (tmp_path / "Folder").mkdir()
    ignores_case = (tmp_path / "fOLDER").exists()
    keys = {file_key(str(tmp_path / "Folder" / name)) for name in ("a.mp4", "A.mp4")}
    assert len(keys) == (1 if ignores_case else 2)


def test_one_object_of_a_store_however_it_is_spelled() -> None:
    assert file_key("s3://bucket/x/../a.mp4") == file_key("S3A://bucket//a.mp4")
    assert file_key("s3://bucket/a.mp4") != file_key("s3://bucket/A.mp4")
    assert file_key("a\0b") != file_key("a\0c")
    assert file_key("s3://bucket/a::c.mp4") != file_key("s3://bucket/b::c.mp4")
    assert file_key("simplecache::s3://bucket/a.mp4") == file_key("s3://bucket/a.mp4")


def test_what_is_at_a_url(folder: Path) -> None:
    (folder / "loop").symlink_to("loop")
    found = {name: kind_at(str(folder / name)) for name in ("no", "talk.mp4", ".", "loop")}
    assert found == {"no": "nothing", "talk.mp4": "file", ".": "folder", "loop": "link"}
    assert kind_at(f"local://{folder}/talk.mp4") == "file"
    assert kind_at("memory://nowhere/a.mp4") == "nothing"
