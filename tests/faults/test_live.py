"""A video that is watched while it renders: stopped and begun again, by processes and by Ray."""

import json
import sys
from pathlib import Path

import av
import pytest

from tests.end_to_end.conftest import Bench
from tests.faults.terminal import CTRL_C, terminal
from tests.faults.test_single import STEPS, sha256
from tests.flows.conftest import FACE, SPEECH

pytestmark = pytest.mark.faults

REFLECTED = STEPS | {"padding_mode": "reflect"}
SEGMENT_FRAMES, NUM_FRAMES = 6, 25
NUM_PARTS = 5


def command(bench: Bench, output: Path, *options: str) -> list[str]:
    """The command of two seconds in parts of half a second; of a manifest, if it names none."""
    preset = bench.preset(
        "live", cluster={"workers": 2}, sampling=REFLECTED, segment_frames=SEGMENT_FRAMES
    )
    given = ["--preset", preset, "--json-lines", *options]
    if output.suffix == ".jsonl":
        cells = {"id": "a", "portrait": str(FACE), "audio": str(SPEECH), "output": "a.mp4"}
        output.write_text(json.dumps(cells | {"end": 2}))
        return [sys.executable, "-m", "flows", "render", str(output), *given, "--no-report"]
    files = [str(FACE), str(SPEECH), "--end", "2", "-o", str(output)]
    return [sys.executable, "-m", "flows", "render", *files, *given]


@pytest.fixture(scope="module")
def in_stages(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> str:
    output = tmp_path_factory.mktemp("stages") / "a.mp4"
    with terminal(*command(bench, output)) as run:
        assert run.wait() == 0, run.text
    assert not output.with_name("a.mp4.live").exists()
    return sha256(output)


def assert_published(output: Path, expected: str) -> None:
    """The same video as without a playlist, and a playlist that shows all of it."""
    assert sha256(output) == expected
    playlist = output.with_name("a.mp4.live") / "index.m3u8"
    text = playlist.read_text()
    assert text.endswith("#EXT-X-ENDLIST\n")
    assert text.count("#EXTINF") == NUM_PARTS
    shown, whole = list[float](), list[float]()
    for file, times in ((playlist, shown), (output, whole)):
        with av.open(str(file)) as container:
            times += [float(frame.time or 0) for frame in container.decode(video=0)]
    assert len(shown) == len(whole) == 2 * NUM_FRAMES


def test_stopped_and_begun_again_it_is_the_same_video(
    bench: Bench, tmp_path: Path, in_stages: str
) -> None:
    output = tmp_path / "a.mp4"
    with terminal(*command(bench, output, "--live")) as run:
        run.wait_until(lambda run: "watch it now" in run.text)
        run.press(CTRL_C)
        assert run.wait(20) == 130
    playlist = output.with_name("a.mp4.live") / "index.m3u8"
    assert "#EXTINF" in playlist.read_text()
    with terminal(*command(bench, output, "--live")) as run:
        assert run.wait() == 0, run.text
    assert_published(output, in_stages)


@pytest.mark.ray
def test_a_manifest_is_published_by_ray(bench: Bench, tmp_path: Path, in_stages: str) -> None:
    with terminal(*command(bench, tmp_path / "m.jsonl", "--live")) as run:
        assert run.wait() == 0, run.text
    assert_published(tmp_path / "a.mp4", in_stages)
