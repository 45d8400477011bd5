"""A manifest in which all but two rows are wrong: each is named, the two are rendered, status 1."""

import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.cli import main
from sonic_ops.media.inspection import verify_video
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, SPEECH
from tests.flows.preflight.test_checks import write_video, write_wav

pytestmark = pytest.mark.flow

# row id, what differs from a good row, error class, column
BAD: list[tuple[str, dict[str, object], str, str]] = [
    ("no-audio", {"audio": "nowhere.wav"}, "MissingFileError", "audio"),
    ("no-portrait", {"portrait": "nowhere.png"}, "MissingFileError", "portrait"),
    ("text-audio", {"audio": "text.wav"}, "AudioUnreadableError", "audio"),
    ("empty-audio", {"audio": "empty.wav"}, "AudioUnreadableError", "audio"),
    ("short-audio", {"audio": "short.wav"}, "AudioTooShortError", "audio"),
    ("text-image", {"portrait": "text.wav"}, "ImageUnreadableError", "portrait"),
    ("no-face", {"portrait": "blank.png"}, "NoFaceError", "portrait"),
    ("good", {"output": "out/twin.mp4"}, "FieldError", "id"),
    ("same-output", {"output": "out/good.mp4"}, "FieldError", "output"),
    ("wrong-type", {"seed": "seven"}, "FieldError", "seed"),
    ("no-folder", {"output": "text.wav/inside/a.mp4"}, "OutputNotWritableError", "output"),
    ("framing", {"framing": "tiles"}, "FieldError", "framing"),
]
GOOD: list[dict[str, object]] = [
    {"id": "good", "end": "0.4"},
    {"id": "from-video", "audio": "talk.mp4", "portrait": "both.png", "end": "0.4"},
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "text.wav").write_text("no audio, no picture " * 50)
    (folder / "empty.wav").write_bytes(b"")
    write_wav(folder / "short.wav", 1279)
    write_video(folder / "talk.mp4")
    Image.new("RGB", (128, 128), (90, 120, 150)).save(folder / "blank.png")
    face = Image.open(FACE).convert("RGB")
    both = Image.new("RGB", (2 * face.width, face.height))
    both.paste(face, (0, 0))
    both.paste(face.resize((face.width // 2, face.height // 2)), (face.width, 0))
    both.save(folder / "both.png")
    return folder


def cells(row_id: str, **differs: object) -> dict[str, object]:
    base = {"portrait": str(FACE), "audio": str(SPEECH), "output": f"out/{row_id}.mp4"}
    optional = dict.fromkeys(("seed", "framing", "end"))
    return {"id": row_id} | base | optional | differs


@pytest.fixture(scope="module")
def ran(bench: Bench, folder: Path) -> tuple[object, str, list[dict[str, Any]]]:
    """Exit status, what was printed, and the results table, of `sonic render`."""
    rows = [cells(str(row["id"]), **row) for row in GOOD]
    rows += [cells(row_id, **differs) for row_id, differs, _, _ in BAD]
    manifest = bench.manifest(rows, folder)
    with pytest.MonkeyPatch.context() as patch, (folder / "text").open("w+") as text:
        patch.setattr(sys, "argv", ["sonic", "render", manifest, "--preset", bench.preset()])
        patch.setattr(sys, "stdout", text)
        with pytest.raises(SystemExit) as caught:
            main()
        text.seek(0)
        printed = text.read()
    return caught.value.code, printed, pq.read_table(folder / "m.results.parquet").to_pylist()


Run = tuple[object, str, list[dict[str, Any]]]


def test_the_exit_status_says_that_rows_failed(ran: Run) -> None:
    status, text, _ = ran
    assert status == 1
    assert f"{len(BAD)} of {len(BAD) + len(GOOD)} rows cannot be rendered:" in text
    assert f"2 done, {len(BAD)} failed" in text


def test_the_good_rows_are_rendered(ran: Run, folder: Path) -> None:
    for row in GOOD:
        path = folder / "out" / f"{row['id']}.mp4"
        assert verify_video(path, num_output_frames=10, duration_s=0.4).audio_codec == "aac"


def test_several_faces_are_noted(ran: Run) -> None:
    _, _, results = ran
    assert "2 faces in the portrait: the largest is used" in results[1]["notes"]


@pytest.mark.parametrize("index", range(len(BAD)), ids=[case[0] for case in BAD])
def test_each_bad_row_is_named_with_column_and_remedy(ran: Run, index: int) -> None:
    row_id, _, error_class, column = BAD[index]
    _, text, results = ran
    result = results[len(GOOD) + index]
    assert (result["id"], result["status"]) == (row_id, "failed")
    assert result["error_class"] == error_class
    assert result["error"].startswith(f"column {column}: ")
    assert result["remedy"]
    said = f"  {result['place']} ({row_id}), {result['error']}. {result['remedy']}\n"
    assert said in text
