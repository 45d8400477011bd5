"""What `--live` refuses, and that it replaces no folder of the user."""

from pathlib import Path

import pytest

from flows.preflight.live import PLAYLIST_SIGN, playlist_of
from flows.rows.config import RenderConfig
from tests.flows.conftest import Cells, WriteManifest, sorted_rows


def live(config: RenderConfig, **settings: object) -> RenderConfig:
    return config.model_copy(update={"live": True, **settings})


def problems(config: RenderConfig, manifest: str) -> str:
    return "; ".join(
        str(error) for row in sorted_rows(manifest, config).bad for error in row.errors
    )


@pytest.mark.parametrize("ending", ["gif", "webm"])
def test_formats_that_players_do_not_take_are_refused(
    ending: str, config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    output = str(good["output"]).replace("mp4", ending)
    manifest = write_manifest(good | {"output": output})
    assert problems(config, manifest) == ""
    assert "this format cannot be watched" in problems(live(config), manifest)


def test_what_needs_the_whole_video_is_refused(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(good)
    media = config.media.model_copy(update={"colour_correction": True})
    assert "colour_correction" in problems(live(config, media=media), manifest)
    assert "at_end" in problems(live(config, fusion="at_end"), manifest)


def test_remote_outputs_are_refused(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(good | {"output": "memory://videos/a.mp4"})
    assert "a remote output cannot be watched" in problems(live(config), manifest)


def test_a_folder_of_the_user_is_not_replaced(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    manifest, playlist = write_manifest(good), playlist_of(str(good["output"]))
    assert problems(live(config), manifest) == ""
    playlist.parent.mkdir(parents=True)
    assert "was not written by this program" in problems(live(config), manifest)
    assert problems(live(config, overwrite=True), manifest) == ""
    playlist.write_text(f"#EXTM3U\n{PLAYLIST_SIGN}\n")
    assert problems(live(config), manifest) == ""


def test_previews_are_not_published(config: RenderConfig) -> None:
    assert not live(config).for_previews().live


def test_a_playlist_is_beside_its_output(tmp_path: Path) -> None:
    assert playlist_of(str(tmp_path / "a.mp4")) == tmp_path / "a.mp4.live" / "index.m3u8"
