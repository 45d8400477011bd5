"""What breaks while a row is rendered: tried again if a machine may be at fault, never else."""

import errno
import resource
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sonic_ops.core.files import storage_fault
from tests.end_to_end.conftest import Bench
from tests.flows.conftest import FACE, SPEECH

pytestmark = pytest.mark.flow


def row(row_id: str, **differs: object) -> dict[str, object]:
    base = {"portrait": str(FACE), "audio": str(SPEECH), "end": 0.4, "seed": 1}
    return {"id": row_id, "output": f"{row_id}.mp4"} | base | differs


def work_folder(folder: Path, row_id: str) -> Path:
    (work,) = (folder / ".sonic").glob(f"{row_id}-*")
    return work


def damaged_flac(path: Path) -> None:
    """A quarter of an hour whose last quarter is damaged, which is more than a preflight hears."""
    noise = np.tile(np.random.default_rng(1).normal(scale=0.1, size=8_000), 900)
    soundfile.write(path, noise, 8_000, format="FLAC")
    content = path.read_bytes()
    kept = len(content) * 3 // 4
    path.write_bytes(content[:kept] + bytes(len(content) - kept))


def test_damaged_audio_is_the_rows_fault_and_is_not_tried_again(
    bench: Bench, tmp_path: Path
) -> None:
    damaged_flac(tmp_path / "damaged.flac")
    rows = [row("bad", audio="damaged.flac", end=None), row("good")]
    ran = bench.run(bench.manifest(rows, tmp_path), bench.preset())
    assert ran.status == 1
    bad = ran.results["bad"]
    assert (bad["status"], bad["error_class"], bad["attempts"]) == (
        "failed",
        "AudioUnreadableError",
        0,  # the preflight reads it as the render would
    )
    assert bad["error"].startswith(f"column audio: The audio of {tmp_path}/damaged.flac")
    assert bad["remedy"].startswith("Fetch or export the file again")
    said = " ".join(ran.text.split())
    assert f"row 1 (bad), {bad['error']}" in said
    assert bad["remedy"] in said
    assert ran.results["good"]["status"] == "done"


def test_what_exists_is_not_made_again(bench: Bench, tmp_path: Path) -> None:
    preset = bench.preset("keep", keep_work=True)
    manifest = bench.manifest([row("a")], tmp_path)
    assert bench.run(manifest, preset).status == 0
    output = tmp_path / "a.mp4"
    first = output.read_bytes()
    work = work_folder(tmp_path, "a")
    made = {path: path.stat().st_mtime_ns for path in work.rglob("*.*")}
    assert {path.parent.name for path in made} >= {"tokens", "latents", "segments"}
    output.unlink()
    assert bench.run(manifest, preset).results["a"]["status"] == "done"
    assert {path: path.stat().st_mtime_ns for path in work.rglob("*.*")} == made
    assert output.read_bytes() == first


def test_a_machine_fault_is_tried_as_often_as_the_preset_says(bench: Bench, tmp_path: Path) -> None:
    preset = bench.preset("keep", keep_work=True, max_attempts=2)
    manifest = bench.manifest([row("a"), row("b", seed=9)], tmp_path)
    assert bench.run(manifest, preset).status == 0
    work = work_folder(tmp_path, "a")
    for path in [tmp_path / "a.mp4", *work.glob("latents/*"), *work.glob("segments/*")]:
        path.unlink()
    (work / "latents").rmdir()
    (work / "latents").write_bytes(b"no folder")
    ran = bench.run(manifest, preset)
    broken = ran.results["a"]
    assert (broken["status"], broken["error_class"], broken["attempts"]) == (
        "failed",
        "RenderError",
        2,
    )
    assert broken["remedy"]
    assert ran.results["b"]["status"] == "skipped"


def cut_off(path: Path) -> None:
    """A file whose header is right, and whose end is lost."""
    path.write_bytes(path.read_bytes()[:-600])


def one_bit(path: Path) -> None:
    """A file of the right length in which one bit has changed."""
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def no_file(path: Path) -> None:
    """Nothing of what was there."""
    path.write_bytes(b"damaged")


STAGES = (
    "portrait.safetensors",
    "tokens/*",
    "heard/*",
    "checkpoints/*/*",
    "latents/*",
    "segments/*",
    "stitched.mp4",
)


@pytest.fixture(scope="module")
def finished(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """A manifest that is rendered, its preset, and the folder of both the video and its work."""
    folder = tmp_path_factory.mktemp("finished")
    settings = {"keep_work": True, "max_attempts": 1, "checkpoint_every": 1}
    preset, manifest = bench.preset("once", **settings), bench.manifest([row("a")], folder)
    assert bench.run(manifest, preset).status == 0
    return manifest, preset, folder


@pytest.mark.parametrize(
    ("pattern", "damage"),
    [
        ("portrait.safetensors", no_file),
        ("tokens/*", cut_off),
        ("heard/*", one_bit),
        ("checkpoints/*/*", one_bit),
        ("checkpoints/*/*", cut_off),
        ("latents/*", one_bit),
        ("segments/*", cut_off),
        ("segments/*", no_file),
        ("stitched.mp4", one_bit),
    ],
)
def test_damaged_work_is_said_and_made_again(
    bench: Bench,
    finished: tuple[str, str, Path],
    pattern: str,
    damage: Callable[[Path], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    manifest, preset, folder = finished
    work, video = work_folder(folder, "a"), folder / "a.mp4"
    first = video.read_bytes()
    damaged = min(work.glob(pattern))
    for path in (
        later for name in STAGES[STAGES.index(pattern) + 1 :] for later in work.glob(name)
    ):
        path.unlink()
    video.unlink()
    damage(damaged)
    again = bench.run(manifest, preset).results["a"]
    assert (again["status"], again["attempts"], again["error"]) == ("done", 1, None)
    assert f"{damaged} is damaged or missing; it is made again" in caplog.text
    assert video.read_bytes() == first


def test_damaged_audio_is_made_again(bench: Bench, tmp_path: Path) -> None:
    preset = bench.preset("keep", keep_work=True)
    manifest = bench.manifest([row("a")], tmp_path)
    assert bench.run(manifest, preset).status == 0
    first = (tmp_path / "a.mp4").read_bytes()
    (tmp_path / "a.mp4").unlink()
    audio = work_folder(tmp_path, "a") / "sound.wav"
    whole = audio.read_bytes()
    audio.write_bytes(whole[: len(whole) // 2])  # it still is a recording
    assert bench.run(manifest, preset).results["a"]["status"] == "done"
    assert (tmp_path / "a.mp4").read_bytes() == first
    assert audio.read_bytes() == whole


def test_a_receipt_that_cannot_be_kept_stops_nothing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "a" / ".sonic").mkdir(parents=True)
    (tmp_path / "a" / ".sonic" / "receipts").write_text("a file where a folder should be")
    rows = [row("a", output="a/a.mp4"), row("b", output="b/b.mp4")]
    ran = bench.run(bench.manifest(rows, tmp_path), bench.preset())
    assert ran.status == 0
    assert [ran.results[name]["status"] for name in "ab"] == ["done", "done"]
    assert "no receipt could be kept" in ran.results["a"]["notes"]
    assert "receipt" not in ran.results["b"]["notes"]


@pytest.fixture
def files_up_to_32_mb() -> Iterator[None]:
    """The system refuses to let a file grow further, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 << 20, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("files_up_to_32_mb")
def test_a_full_disk_is_said_and_stops_one_row(bench: Bench, tmp_path: Path) -> None:
    minutes = tmp_path / "ten minutes.wav"
    soundfile.write(minutes, np.zeros(600 * 8_000, np.int16), 8_000)
    rows = [row("a", audio=str(minutes), end=None), row("b")]
    ran = bench.run(bench.manifest(rows, tmp_path), bench.preset("once", max_attempts=1))
    full = ran.results["a"]
    assert (full["status"], full["error_class"]) == ("failed", "RenderError")
    assert full["error"].startswith("A file could not be written")
    assert full["remedy"].startswith("Free space")
    assert ran.results["b"]["status"] == "done"


def test_a_full_disk_asks_for_space() -> None:
    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("w") as file:
        file.write("x")
    assert storage_fault(caught.value).remedy.startswith("Free space")


def test_a_copy_that_failed_names_the_full_folder() -> None:
    error = OSError(
        errno.ENOSPC, "No space left on device", "/tmp/sound.wav", None, "/data/.x.draft"
    )
    assert "in /data: No space left" in str(storage_fault(error))
