"""A browser plays a video while it is rendered, with hls.js."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import copyfile
from threading import Thread
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import soundfile

from sonic_ops.media.live import LivePlaylist
from sonic_ops.media.soundtrack import Soundtrack
from tests.flows.conftest import FACE, SPEECH
from tests.sonic_ops.media.test_live import FPS, PART_FRAMES, SIGN, audio, segments
from tests.ui.chromium import HLS

if TYPE_CHECKING:
    from playwright.sync_api import Browser

__all__ = ["audio", "segments"]

pytestmark = pytest.mark.ui

PAGE = """<video muted></video><script src=hls.min.js></script><script>
const hls = new Hls({startPosition: 0});
hls.loadSource('index.m3u8');
hls.attachMedia(document.querySelector('video'));
</script>"""
LIVE = ("--live", "--preset", "sketch", "--set", "segment_frames=25")
REPEATS = 5
PART_S = float(PART_FRAMES / FPS)
SHOWN = "s => document.querySelector('video').currentTime >= s"


class _Handler(SimpleHTTPRequestHandler):
    def guess_type(self, path: str) -> str:  # type: ignore[override]
        known = super().guess_type(path)
        return "application/x-mpegURL" if path.endswith(".m3u8") else known

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def test_it_plays_while_it_grows(
    browser: Browser, tmp_path: Path, segments: list[Path], audio: str
) -> None:
    (tmp_path / "index.html").write_text(PAGE)
    copyfile(HLS, tmp_path / HLS.name)
    track, length_s = Soundtrack(audio), Fraction(PART_FRAMES) / FPS
    live = LivePlaylist(tmp_path / "index.m3u8", track, fps=FPS, longest_s=length_s, sign=SIGN)
    with served(tmp_path) as url, live:
        live.append(segments[0])
        page = browser.new_page()
        page.goto(url)
        page.evaluate("() => document.querySelector('video').play()")
        page.wait_for_function(SHOWN, arg=0.5 * PART_S)
        live.append(segments[1])  # the page has the playlist, and asks for it again
        page.wait_for_function(SHOWN, arg=1.5 * PART_S)
        live.append(segments[2])
        live.end()
        page.wait_for_function("() => document.querySelector('video').ended")
        assert page.evaluate("() => document.querySelector('video').error") is None
        page.close()


def test_a_row_is_watched_while_it_renders(browser: Browser, tmp_path: Path) -> None:
    output = tmp_path / "talk.mp4"
    folder = tmp_path / f"{output.name}.live"
    speech, rate_hz = soundfile.read(SPEECH)
    soundfile.write(tmp_path / "long.wav", np.tile(speech, REPEATS), rate_hz)
    rows = (str(FACE), str(tmp_path / "long.wav"), "-o", str(output))
    command = [sys.executable, "-m", "flows", "render", *rows, *LIVE]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as rendering:
        while rendering.poll() is None and not (folder / "index.m3u8").exists():
            time.sleep(0.1)
        (folder / "index.html").write_text(PAGE)
        copyfile(HLS, folder / HLS.name)
        with served(folder) as url:
            page = browser.new_page()
            page.goto(url)
            page.evaluate("() => document.querySelector('video').play()")
            page.wait_for_function(SHOWN, arg=0.5, timeout=120_000)
            assert rendering.poll() is None, "it had ended before"
            assert not output.exists()
            assert rendering.wait(timeout=300) == 0
            page.wait_for_function("() => document.querySelector('video').ended", timeout=60_000)
            shown_s = page.evaluate("() => document.querySelector('video').duration")
            page.close()
    with av.open(str(output)) as video:
        assert shown_s == pytest.approx(video.duration / av.time_base, abs=0.1)
