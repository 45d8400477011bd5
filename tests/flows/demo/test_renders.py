"""What a page sees of its renders, without a page; and the command without its extra."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from flows.commands.demo import demo
from flows.demo.renders import Renders, State, open_renders
from sonic_ops.core.errors import ConfigError
from tests.end_to_end.conftest import FAST, NOTICE
from tests.flows.conftest import FACE, SPEECH
from tests.tiny import make_tiny_weights


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("preset")
    models = {"weights": str(make_tiny_weights(folder / "weights")), "notice": NOTICE}
    settings = {"models": models, "cluster": {"workers": 0}}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(settings | FAST))
    return str(folder / "tiny.yaml")


@pytest.fixture
def renders() -> Iterator[Renders]:
    with open_renders() as (renders, folder):
        yield renders
    assert not folder.exists()


def cells(**others: str | None) -> dict[str, str | None]:
    return {"portrait": str(FACE), "audio": str(SPEECH), "end": "0.6"} | others


def test_a_render_shows_progress_and_ends_with_its_video(renders: Renders, preset: str) -> None:
    states = list(renders.render(cells(), preset))
    shares = [state.share for state in states if state.share is not None]
    assert shares == sorted(shares)
    assert {0.0, 1.0} < set(shares)
    assert any(state.text.startswith("Denoising, step 0 of 2") for state in states)
    assert states[-1].problems == ()
    assert NOTICE in states[-1].notes
    video = Path(states[-1].video or "")
    assert video.name == "young_man.mp4"
    assert video.read_bytes()[4:8] == b"ftyp"


def test_what_is_wrong_is_said_without_folders(
    renders: Renders, preset: str, tmp_path: Path
) -> None:
    folder = renders._folder / "uploads" / "0123"
    folder.mkdir(parents=True)
    shutil.copy(SPEECH, folder / "face.png")
    *_, last = renders.render(cells(portrait=str(folder / "face.png"), seed="-1"), preset)
    assert last.video is None
    assert last.text == ""
    assert any("seed: '-1' is not a whole number" in said for said in last.problems)
    (said,) = [said for said in last.problems if "face.png" in said]
    assert "/" not in said
    *_, last = renders.render(cells(), str(tmp_path / "none.yaml"))
    assert "none.yaml" in last.problems[0]


def test_consent_is_wanted_where_the_preset_wants_it(
    renders: Renders, preset: str, tmp_path: Path
) -> None:
    wanted = yaml.safe_load(Path(preset).read_text()) | {"provenance": {"require_consent": True}}
    strict = tmp_path / "strict.yaml"
    strict.write_text(yaml.safe_dump(wanted))
    *_, last = renders.render(cells(), str(strict))
    assert last.problems[0].endswith("Ask them, then tick the box.")
    *_, last = renders.render(cells(consent="asked"), str(strict))
    assert last.video is not None


def test_one_render_is_done_at_a_time_and_one_that_is_left_stops(
    renders: Renders, preset: str
) -> None:
    first, second = renders.render(cells(end=None), preset), renders.render(cells(), preset)
    while not next(first).share:
        pass
    assert [next(second) for _ in range(3)] == [State("Waiting for another render")] * 3
    first.close()
    *_, last = second
    assert last.video is not None


def test_without_the_extra_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(ConfigError) as raised:
        demo()
    assert str(raised.value) == "sonic demo needs the package gradio"
    assert raised.value.remedy == "Run pip install 'sonic-render[demo]'."
