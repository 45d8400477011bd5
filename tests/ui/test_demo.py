"""`sonic demo` in a real browser: files are dropped, rendered, played, downloaded and refused."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
import soundfile
import yaml

from sonic_ops.media.inspection import probe_video
from tests import films
from tests.end_to_end.conftest import FAST, NOTICE
from tests.faults.terminal import CTRL_C, Terminal, terminal
from tests.flows.conftest import FACE, SPEECH
from tests.tiny import make_tiny_weights
from tests.ui.conftest import SCREENS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.ui

PATIENCE_MS = 120_000
STEPS = {"steps": 6, "window_frames": 6, "shift_frames": 2}
DROP = """(zone, [name, type, content]) => {
    const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
    const dropped = new DataTransfer();
    dropped.items.add(new File([bytes], name, {type}));
    zone.dispatchEvent(new DragEvent('drop', {dataTransfer: dropped, bubbles: true}));
}"""


@pytest.fixture(scope="module")
def preset(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("preset")
    models = {"weights": str(make_tiny_weights(folder / "weights")), "notice": NOTICE}
    settings = {"models": models, "cluster": {"workers": 2}} | FAST | {"sampling": STEPS}
    (folder / "tiny.yaml").write_text(yaml.safe_dump(settings))
    return str(folder / "tiny.yaml")


@pytest.fixture(scope="module")
def demo(preset: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """The command, in a terminal; at the end Ctrl-C ends it, and nothing of it is left."""
    folder = tmp_path_factory.mktemp("temporary")
    command = [sys.executable, "-m", "flows", "demo", "--preset", preset]
    with pytest.MonkeyPatch.context() as patch, terminal_in(folder, patch, command) as run:
        run.wait_until(lambda run: "Ctrl-C" in run.text)
        yield run
        run.press(CTRL_C)
        assert run.wait(10) == 130
        assert run.text.splitlines()[-1].endswith("Stopped.")
        assert run.processes() == {}
        assert list(folder.glob("sonic-demo-*")) == []


@contextmanager
def terminal_in(folder: Path, patch: pytest.MonkeyPatch, command: list[str]) -> Iterator[Terminal]:
    """Run a command whose temporary files are in a folder."""
    patch.setenv("TMPDIR", str(folder))
    with terminal(*command) as run:
        yield run


@pytest.fixture
def page(browser: Browser, demo: Terminal) -> Iterator[Page]:
    """The page; it must not ask another machine for anything, and nothing may fail in it."""
    url = re.findall(r"http://\S+", demo.text)[0]
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    problems: list[str] = []
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.extend([said.text] * (said.type == "error")))
    answer = page.goto(url)
    assert answer is not None
    assert answer.headers["content-security-policy"].startswith("default-src 'self' ")
    page.get_by_role("tab", name="Portrait").wait_for(timeout=PATIENCE_MS)
    yield page
    page.close()
    assert problems == []
    assert asked - {""} == {urlsplit(url).netloc}


def shown(page: Page) -> Locator:
    """The tab that is shown."""
    return page.locator("[role=tabpanel]:visible")


def give(page: Page, face: Path, audio: Path) -> None:
    """Drop a picture or film, and choose a recording."""
    kind = "image/png" if face.suffix == ".png" else "video/mp4"
    content = base64.b64encode(face.read_bytes()).decode()
    tab = shown(page)
    tab.get_by_label(re.compile("Drop .* file here")).first.evaluate(
        DROP, [face.name, kind, content]
    )
    tab.locator("img[src*='/file='], video[src*='/file=']").first.wait_for(timeout=PATIENCE_MS)
    tab.locator("input[type=file]").last.set_input_files(audio)
    tab.get_by_test_id("waveform-Recording").or_(
        tab.get_by_test_id("waveform-New speech")
    ).first.wait_for(timeout=PATIENCE_MS)


def rendered(page: Page, name: str) -> list[float]:
    """Render to the end, and return the progress that was shown."""
    tab = shown(page)
    tab.get_by_role("button", name="Render").click()
    progress, seen = tab.get_by_role("progressbar", name="Progress"), []
    progress.wait_for(timeout=PATIENCE_MS)
    while not tab.get_by_text("Download", exact=True).is_enabled():
        seen.append(float(progress.get_attribute("value") or 0))
        page.screenshot(path=SCREENS / f"{name}-progress.png")
    return seen


PLAY = """async video => {
    video.muted = true;
    await video.play();
    while (video.currentTime < 0.2) await new Promise(done => setTimeout(done, 20));
    video.pause();
    return video.currentTime;
}"""


def played_s(page: Page, name: str) -> float:
    """Play the video that was rendered for a moment; where it stands then."""
    stands_s = shown(page).locator("video").last.evaluate(PLAY)
    page.screenshot(path=SCREENS / f"{name}-played.png", full_page=True)
    return float(stands_s)


def downloaded(page: Page, target: Path) -> Path:
    with page.expect_download() as download:
        shown(page).get_by_text("Download", exact=True).click()
    assert download.value.suggested_filename == target.name
    download.value.save_as(target)
    return target


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    """A second of speech."""
    samples, rate_hz = soundfile.read(SPEECH)
    soundfile.write(tmp_path / "hello.wav", samples[:rate_hz], rate_hz)
    return tmp_path / "hello.wav"


def test_a_face_and_a_recording_become_a_video(page: Page, audio: Path, tmp_path: Path) -> None:
    tab = shown(page)
    tab.get_by_text("Settings").click()
    give(page, FACE, audio)  # by now the settings are there, and stay as they are
    tab.get_by_role("checkbox").check()
    tab.get_by_role("spinbutton", name="Seed").fill("7")
    page.screenshot(path=SCREENS / "demo-settings.png", full_page=True)
    seen = rendered(page, "demo")
    assert tab.get_by_role("spinbutton", name="Seed").input_value() == "7"
    assert seen == sorted(seen)
    assert max(seen) > 0.1
    assert NOTICE in tab.inner_text()
    assert played_s(page, "demo") >= 0.2
    video = probe_video(downloaded(page, tmp_path / "hello.mp4"))
    assert video.duration_s == pytest.approx(1.0, abs=0.05)


def test_a_film_is_given_new_speech(page: Page, audio: Path, tmp_path: Path) -> None:
    page.get_by_role("tab", name="Film").click()
    give(page, films.write_film(tmp_path / "talk.mp4", films.talking(25)), audio)
    assert not shown(page).get_by_label("Trim video to selection").is_visible()
    rendered(page, "demo-film")
    assert played_s(page, "demo-film") >= 0.2
    video = probe_video(downloaded(page, tmp_path / "hello.mp4"))
    assert (video.width, video.height) == films.SIZE


def test_what_is_wrong_is_a_sentence_with_its_remedy(
    page: Page, audio: Path, tmp_path: Path
) -> None:
    tab, start = shown(page), shown(page).get_by_role("button", name="Render")
    start.click()
    alerts = tab.get_by_role("alert")
    alerts.first.wait_for(timeout=PATIENCE_MS)
    assert [said.split(".")[0] for said in alerts.all_inner_texts()] == [
        "There is no face yet",
        "There is no recording yet",
    ]
    give(page, FACE, audio)
    tab.get_by_label("Remove Image").click()
    tab.locator("input[type=file]").first.set_input_files(
        {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture at all"}
    )
    tab.get_by_label("Remove Image").wait_for(timeout=PATIENCE_MS)
    start.click()
    refused = tab.get_by_role("alert").filter(has_text="notes.png")
    refused.wait_for(timeout=PATIENCE_MS)
    page.screenshot(path=SCREENS / "demo-refused.png", full_page=True)
    assert "/" not in refused.inner_text()
    assert "Traceback" not in page.content()
    assert not tab.get_by_text("Download", exact=True).is_enabled()
