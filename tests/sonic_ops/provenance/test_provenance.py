"""Every finished file says that it was made with AI; readers that are not ours find it."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import c2pa
import numpy as np
import pytest
import soundfile
from PIL import Image

from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.formats import ENDINGS, FORMATS, VideoCodec
from sonic_ops.media.animations import verify_animation
from sonic_ops.media.dubbing import Dub, join_languages
from sonic_ops.media.encoding import EncodeSettings, encode_frames
from sonic_ops.media.film_encoding import FilmForm
from sonic_ops.media.finishing import FilmFinish, Finish, finish_video
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.provenance.c2pa import Signer
from sonic_ops.provenance.marks import COMMENT, EDITED, mark_file, provenance_of
from sonic_ops.provenance.xmp import embed_xmp, read_xmp
from tests.certificates import write_signer

# As the IPTC publishes it, and not as our code spells it.
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"

NUM_FRAMES = 8
UNSIGNED = {
    ".mp4": "metadata, XMP",
    ".mov": "metadata, XMP",
    ".mkv": "metadata",
    ".webm": "metadata",
    ".gif": "XMP",
    ".webp": "XMP",
}


@pytest.fixture(scope="module")
def segments(tmp_path_factory: pytest.TempPathFactory) -> dict[VideoCodec, list[Path]]:
    """A video of two segments, in the codecs that the containers have by themselves."""
    folder = tmp_path_factory.mktemp("segments")
    made: dict[VideoCodec, list[Path]] = {}
    for codec in ("h264", "prores", "vp9"):
        made[codec] = [folder / f"{codec}-{index}.mp4" for index in range(2)]
        for path in made[codec]:
            encode_frames(pictures(), path, EncodeSettings(codec, preset="veryfast"))
    return made


def pictures(num_frames: int = NUM_FRAMES // 2) -> Iterator[np.ndarray]:
    ramp = np.linspace(20, 200, 64).astype(np.uint8)
    for index in range(num_frames):
        yield np.roll(np.stack([np.tile(ramp, (64, 1))] * 3, 2), 9 * index, axis=1)


@pytest.fixture(scope="module")
def finish(tmp_path_factory: pytest.TempPathFactory) -> Finish:
    folder = tmp_path_factory.mktemp("sound")
    audio = np.random.default_rng(0).standard_normal(48_000 * NUM_FRAMES // 25) / 9
    soundfile.write(folder / "sound.wav", audio, 48_000)
    wav = folder / "16k.wav"
    num_samples = decode_audio(str(folder / "sound.wav"), wav)
    return Finish(Soundtrack(str(folder / "sound.wav")), wav, num_samples, NUM_FRAMES)


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return write_signer(tmp_path_factory.mktemp("keys"))


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_mark_is_in_every_container_and_signed_where_it_can_be(
    tmp_path: Path,
    segments: dict[VideoCodec, list[Path]],
    finish: Finish,
    signer: Signer,
    ending: str,
) -> None:
    form, target = FORMATS[ending], tmp_path / f"video{ending}"
    parts = segments[form.codec(None)]
    assert finish_video(parts, target, finish).provenance == UNSIGNED[ending]
    first = target.read_bytes()
    finish_video(parts, target, finish)
    assert target.read_bytes() == first  # no date, no number of its own
    info = finish_video(parts, target, replace(finish, signer=signer))
    assert info.provenance == UNSIGNED[ending] + ", C2PA" * form.can_be_signed
    assert info.num_frames == NUM_FRAMES // (2 if form.is_animation else 1)
    assert finish_video(parts, target, replace(finish, mark=False)).provenance == ""


@pytest.mark.parametrize("ending", [".mp4", ".mov", ".mkv", ".webm"])
def test_players_show_the_comment(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, ending: str
) -> None:
    target = tmp_path / f"video{ending}"
    finish_video(segments[FORMATS[ending].codec(None)], target, finish)
    with av.open(str(target)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    assert tags["comment"] == COMMENT
    assert tags.get("digitalsourcetype", DIGITAL_SOURCE_TYPE) == DIGITAL_SOURCE_TYPE
    assert ("digitalsourcetype" in tags) == (ending in {".mkv", ".webm"})


@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_ffmpeg_finds_the_packet(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, ending: str
) -> None:
    target = tmp_path / f"video{ending}"
    finish_video(segments[FORMATS[ending].codec(None)], target, finish)
    with av.open(str(target), options={"export_xmp": "1"}) as container:
        assert DIGITAL_SOURCE_TYPE in container.metadata["xmp"]


@pytest.mark.parametrize("ending", [".mp4", ".mkv"])
def test_the_mark_stays_where_languages_are_joined(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, ending: str
) -> None:
    dub = Dub("de", finish.track.source)
    for mark in (True, False):
        finish_video(segments["h264"], tmp_path / "video.mp4", replace(finish, mark=mark))
        target = tmp_path / f"joined{ending}"
        join_languages(str(tmp_path / "video.mp4"), [dub, dub], [], target)
        assert provenance_of(target) == (UNSIGNED[ending] if mark else "")


def test_a_signature_says_who_and_breaks_with_the_image(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, signer: Signer
) -> None:
    target = tmp_path / "video.mp4"
    finish_video(segments["h264"], target, replace(finish, signer=signer))
    with c2pa.Reader(target) as reader:
        manifest = json.loads(reader.json())
    active = manifest["manifests"][manifest["active_manifest"]]
    assert active["signature_info"]["common_name"] == "Test studio"
    (made,) = [each for each in active["assertions"] if "actions" in each["label"]]
    (action,) = made["data"]["actions"]
    assert action["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    content = bytearray(target.read_bytes())
    content[content.index(b"mdat") + 40] ^= 1
    target.write_bytes(content)
    assert provenance_of(target) == "metadata, XMP"


def test_a_dubbed_film_is_edited(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, signer: Signer
) -> None:
    target, film = tmp_path / "video.mp4", segments["h264"][0]
    times = tuple(Fraction(n, 25) for n in range(NUM_FRAMES))
    dubbed = replace(finish, film=FilmFinish(times, FilmForm(), film), signer=signer)
    assert finish_video(segments["h264"], target, dubbed).provenance == "metadata, XMP, C2PA"
    with c2pa.Reader(target) as reader:
        manifest = json.loads(reader.json())
    active = manifest["manifests"][manifest["active_manifest"]]
    (source,) = active["ingredients"]
    assert (source["title"], source["relationship"]) == ("film", "parentOf")
    (made,) = [each for each in active["assertions"] if "actions" in each["label"]]
    kinds = {each["action"]: each.get("digitalSourceType", "") for each in made["data"]["actions"]}
    assert kinds["c2pa.edited"].endswith("compositeWithTrainedAlgorithmicMedia")
    assert "c2pa.opened" in kinds
    with av.open(str(target)) as container:
        assert container.metadata["comment"] == EDITED


def test_animations_are_as_they_were(
    tmp_path: Path, segments: dict[VideoCodec, list[Path]], finish: Finish, signer: Signer
) -> None:
    for ending in (".gif", ".webp"):
        plain, marked = tmp_path / f"plain{ending}", tmp_path / f"marked{ending}"
        finish_video(segments["h264"], plain, replace(finish, mark=False))
        finish_video(segments["h264"], marked, replace(finish, signer=signer))
        assert shown(plain) == shown(marked)


def shown(path: Path) -> list[tuple[int, bytes]]:
    """Every frame of a picture that moves: how long it is shown, and its pixels."""
    frames = []
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        for index in range(getattr(image, "n_frames", 1)):
            image.seek(index)
            image.load()
            frames.append((image.info["duration"], image.convert("RGB").tobytes()))
    return frames


@pytest.mark.parametrize("ending", [".gif", ".webp"])
def test_an_image_that_does_not_move_takes_the_mark(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"still{ending}"
    Image.new("RGB", (30, 20), (10, 90, 200)).save(path)
    before = Image.open(io.BytesIO(path.read_bytes())).convert("RGB").tobytes()
    mark_file(path)
    with Image.open(path) as image:
        assert image.convert("RGB").tobytes() == before
        assert image.size == (30, 20)
    assert provenance_of(path) == "XMP"
    assert verify_animation(path, num_output_frames=1).width == 30


def test_a_packet_of_odd_length_and_a_damaged_file_are_read(tmp_path: Path) -> None:
    path = tmp_path / "still.webp"
    Image.new("RGB", (8, 8)).save(path)
    embed_xmp(path, b"odd")
    assert read_xmp(path) == b"odd"
    damaged = tmp_path / "video.mp4"
    for content in (b"", b"\0\0\0", b"\0\0\0\x02mdat1234", b"\0\0\0\x01mdat\0\0"):
        damaged.write_bytes(content)
        assert read_xmp(damaged) is None


def test_a_key_that_cannot_sign_is_told_before_anything_is_rendered(
    tmp_path: Path, signer: Signer
) -> None:
    signer.check()
    (tmp_path / "other").mkdir()
    other = write_signer(tmp_path / "other")
    for wrong in (
        Signer(other.key, signer.certificate),
        Signer(signer.certificate, signer.certificate),
        Signer(signer.key, signer.key),
        Signer(tmp_path / "nowhere.pem", signer.certificate),
    ):
        with pytest.raises(ConfigError, match=r"cannot sign") as caught:
            wrong.check()
        assert "provenance.key" in caught.value.remedy
