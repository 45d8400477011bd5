"""What is fetched is what the hub has, however often the connection breaks."""

from dataclasses import replace
from pathlib import Path

import pytest

from sonic_ops.core.errors import ConfigError, RenderError
from sonic_ops.released.fetch import fetch, require_acceptance
from sonic_ops.released.hub import check_space, fetch_file, list_files
from sonic_ops.released.sources import SOURCES
from tests.hub import Hub, files_below

SONIC, SVD_XT, _ = SOURCES
UNET = SONIC.files[0]
CHUNK_BYTES = 10 << 20  # the library keeps what arrives by this much


def silent(_: str) -> None:
    pass


def test_every_file_arrives_with_its_checksum_and_a_note_of_its_origin(
    hub: Hub, released: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    fetch(tmp_path, said.append, hub.endpoint)
    assert sum(line.startswith(f"{UNET}: ") for line in said) == 1
    here = files_below(tmp_path)
    expected = files_below(released)
    assert {name: here[name] for name in expected} == expected
    assert "NON-COMMERCIAL" in here["ORIGINS"].decode().upper()
    assert f"{SONIC.repository}@" in here["ORIGINS"].decode()
    assert here["licences/LeonJoe13--Sonic/README.md"] == b"# Card\n"
    assert not any("unused" in name or "partial" in name for name in here)


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(
    hub: Hub, tmp_path: Path
) -> None:
    fetch(tmp_path, silent, hub.endpoint)
    content = (tmp_path / UNET).read_bytes()
    (tmp_path / UNET).write_bytes(b"x" + content[1:])
    hub.ranges.clear()
    said: list[str] = []
    fetch(tmp_path, said.append, hub.endpoint)
    assert [name for name, _ in hub.ranges] == [UNET]
    assert (tmp_path / UNET).read_bytes() == content
    assert any("damaged" in line for line in said)


def test_a_broken_download_goes_on_where_it_stopped(hub: Hub, tmp_path: Path) -> None:
    content = bytes(range(256)) * (3 * CHUNK_BYTES // 256)
    hub.repositories[SONIC.repository][UNET] = content
    unet = list_files(SONIC, tmp_path, hub.endpoint)[0]
    hub.num_breaks = 1  # in the middle of the second of three chunks
    fetch_file(unet, hub.endpoint)
    assert hub.ranges == [(UNET, ""), (UNET, f"bytes={CHUNK_BYTES}-")]
    assert unet.target.read_bytes() == content


def test_another_run_goes_on_from_what_has_arrived(
    hub: Hub, released: Path, tmp_path: Path
) -> None:
    unet = list_files(SONIC, tmp_path, hub.endpoint)[0]
    content = (released / UNET).read_bytes()
    unet.partial.parent.mkdir(parents=True)
    unet.partial.write_bytes(content[:1000])
    assert check_space([unet], tmp_path) == len(content) - 1000
    hub.num_bytes_sent = 0
    assert fetch_file(unet, hub.endpoint)
    assert hub.ranges == [(UNET, "bytes=1000-")]
    assert hub.num_bytes_sent == len(content) - 1000
    assert unet.target.read_bytes() == content


def test_content_with_another_checksum_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.damaged = UNET
    with pytest.raises(RenderError, match=r"arrived damaged") as caught:
        fetch(tmp_path, silent, hub.endpoint)
    assert "same command" in caught.value.remedy
    assert not (tmp_path / UNET).exists()
    assert not list(tmp_path.rglob("*.partial"))


def test_a_hub_that_does_not_answer_can_be_tried_again(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(RenderError, match=r"Sonic cannot be fetched"):
        fetch(tmp_path, silent, "http://127.0.0.1:9")
    hub.gated = SVD_XT.repository
    with pytest.raises(ConfigError, match=r"requires accepting its licence") as caught:
        fetch(tmp_path, silent, hub.endpoint)
    assert "HF_TOKEN" in caught.value.remedy


def test_files_and_repositories_that_are_gone_are_named(hub: Hub, tmp_path: Path) -> None:
    del hub.repositories[SVD_XT.repository]["vae/config.json"]
    with pytest.raises(ConfigError, match=r"no file vae/config\.json"):
        fetch(tmp_path, silent, hub.endpoint)
    del hub.repositories[SONIC.repository]
    with pytest.raises(ConfigError, match=r"no repository LeonJoe13/Sonic"):
        fetch(tmp_path, silent, hub.endpoint)
    assert not files_below(tmp_path)


def test_a_disk_without_room_is_said_before_anything_is_fetched(hub: Hub, tmp_path: Path) -> None:
    files = list_files(SONIC, tmp_path, hub.endpoint)
    huge = replace(files[0], size_bytes=10**15)
    with pytest.raises(ConfigError, match=r"^the download needs 1000000\.0 GB, but .* has .* free"):
        check_space([huge], tmp_path / "not" / "there" / "yet")


def test_the_licences_are_shown_and_must_be_accepted() -> None:
    said: list[str] = []
    with pytest.raises(ConfigError, match=r"not accepted") as caught:
        require_acceptance(False, said.append)
    assert "--accept-licences" in caught.value.remedy
    text = "\n".join(said)
    assert all(source.repository in text and source.licence in text for source in SOURCES)
    require_acceptance(True, said.append)
