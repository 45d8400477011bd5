"""Playlists name other files and URLs: FFmpeg opens none of them, whatever they are called."""

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from PIL import Image

from sonic_ops.audio.reading import duration_s, read_audio
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import SonicError
from sonic_ops.media.dubbing import Dub, join_languages
from sonic_ops.picture.images import load_image
from sonic_ops.picture.portrait import load_portrait
from sonic_ops.quality.frame_analysis import frames_of
from tests.field.media import SPEECH, film_in, speech_in

HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{}\n#EXT-X-ENDLIST\n"
CONCAT = "ffconcat version 1.0\nfile {}\n"
DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period duration="PT2S"><AdaptationSet mimeType="audio/mp4"><Representation id="1" '
    'bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
SDP = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio {} RTP/AVP 0\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A folder of somebody else, with audio and film, beside that of the row."""
    folder = tmp_path / "secret"
    folder.mkdir()
    speech_in(folder / "secret.aac")
    shutil.copy(SPEECH, folder / "secret.wav")
    film_in(folder / "secret.ts", "-c:v", "mpeg2video")
    return folder


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A port of this machine, and what it is asked for."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                asked.append(connection.recv(100))
                connection.close()

        Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], asked
        server.shutdown(socket.SHUT_RDWR)


def places(secret: Path, name: str) -> list[str]:
    return [f"{secret}/{name}", f"file://{secret}/{name}", f"../secret/{name}", f"secret/{name}"]


@pytest.mark.parametrize("ending", ["m3u8", "wav", "mp4", "mpd", "ffconcat", "txt", "png"])
@pytest.mark.parametrize("playlist", [HLS, CONCAT, DASH], ids=["hls", "concat", "dash"])
@pytest.mark.parametrize("place", range(4))
def test_no_reader_follows_a_playlist(
    tmp_path: Path, secret: Path, playlist: str, ending: str, place: int
) -> None:
    row = tmp_path / "row"
    row.mkdir()
    (row / "secret").symlink_to(secret)
    for name in ("secret.aac", "secret.wav", "secret.ts"):
        path = row / f"list.{ending}"
        path.write_text(playlist.format(places(secret, name)[place]))
        for read in (
            lambda p: list(read_audio(p)),
            duration_s,
            load_image,
            lambda p: load_portrait(p, PortraitConfig(), None),
            lambda p: list(frames_of(Path(p))),
        ):
            with pytest.raises(SonicError) as raised:
                read(str(path))
            assert "secret" not in str(raised.value)


@pytest.mark.parametrize("ending", ["m3u8", "wav", "sdp"])
@pytest.mark.parametrize("playlist", [HLS, CONCAT, DASH], ids=["hls", "concat", "dash"])
def test_no_playlist_reaches_a_url(
    tmp_path: Path, listener: tuple[int, list[bytes]], playlist: str, ending: str
) -> None:
    port, asked = listener
    path = tmp_path / f"list.{ending}"
    for scheme in ("http", "tcp", "rtsp", "ftp"):
        path.write_text(playlist.format(f"{scheme}://127.0.0.1:{port}/latest/meta-data"))
        with pytest.raises(SonicError):
            list(read_audio(str(path)))
    path.write_text(SDP.format(port))
    with pytest.raises(SonicError):
        list(read_audio(str(path)))
    assert asked == []


def test_a_playlist_is_called_one(tmp_path: Path, secret: Path) -> None:
    for playlist in (HLS, CONCAT, DASH):
        path = tmp_path / "speech.wav"
        path.write_text(playlist.format(secret / "secret.wav"))
        with pytest.raises(SonicError, match="it is a playlist, which names other files"):
            duration_s(str(path))


def test_mux_follows_no_playlist(tmp_path: Path, secret: Path) -> None:
    film = film_in(tmp_path / "film.mp4")
    path = tmp_path / "list.mp4"
    path.write_text(HLS.format(secret / "secret.ts"))
    for video, audio in ((path, SPEECH), (film, path)):
        with pytest.raises(SonicError, match="playlist"):
            join_languages(str(video), [Dub("en", str(audio))], [], tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_a_pattern_in_a_name_opens_no_other_file(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("RGB", (64, 64), "red").save(tmp_path / f"p{number}.png")
    (tmp_path / "p%d.png").write_bytes(b"no picture")
    with pytest.raises(SonicError):
        load_image(str(tmp_path / "p%d.png"))


@pytest.mark.parametrize("name", ["passwd.txt", "art.ans", "art.bin", "art.xb", "nfo.nfo"])
def test_no_text_becomes_an_image(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("root:x:0:0:root:/root:/bin/bash\n" * 50)
    for read in (load_image, lambda p: list(frames_of(Path(p)))):
        with pytest.raises(SonicError) as raised:
            read(str(path))
        assert "x:0:0" not in str(raised.value)
