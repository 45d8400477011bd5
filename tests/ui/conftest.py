"""One Chromium for all tests, and pages that note what goes wrong in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from flows.report.writing import write_report
from flows.state.results import RowResult
from tests.flows.report.reporting import ERROR, EVIL, done, make_video, many_rows, write_table
from tests.ui.chromium import known_chromium, library_path

if TYPE_CHECKING:  # `make test` passes by here without a browser
    from playwright.sync_api import Browser, Page, Request

SCREENS = Path(__file__).parents[2] / "runs" / "ui"
"""Where screenshots go, to be looked at."""

OpenPage = Callable[..., "Page"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    SCREENS.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=known_chromium(),
            args=["--headless", "--no-sandbox", "--disable-gpu"],
            env=library_path(),
        )
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Open a report, from the disk or a URL; at the end nothing may have gone wrong in it."""
    problems: list[str] = []
    pages: list[Page] = []

    def opened(report: str, *, scheme: str = "light", width: int = 1300) -> Page:
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page.on("console", lambda said: problems.append(said.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("requestfailed", lambda asked: problems.extend(_failure(asked)))
        page.goto(report if "://" in report else f"file://{report}")
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert problems == []


def _failure(asked: Request) -> list[str]:
    """What went wrong with a file; one that a closing page gives up has not failed."""
    failure = str(asked.failure)
    return [] if "ERR_ABORTED" in failure else [f"{failure} {asked.url}"]


@pytest.fixture(scope="session")
def few(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of two videos and a row that failed; all texts of the third try to break out."""
    folder = tmp_path_factory.mktemp("few")
    video = make_video(folder / "first & last.mp4")
    failed: dict[str, Any] = {name: f"{text} {EVIL}" for name, text in ERROR.items()}
    rows = (
        done(1, video, notes="the face is small; the audio clips"),
        done(2, make_video(folder / "second.mp4", 60)),
        RowResult(3, EVIL, "failed", output=f"/gone/{EVIL}.mp4", notes=EVIL, **failed),
    )
    return write_report(write_table(folder, rows, {"course": EVIL}), print)


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of 500 rows, of which every tenth has failed."""
    return write_report(many_rows(tmp_path_factory.mktemp("many"), 500), print)
