"""`python -m tests.bench.field_files FOLDER`: what becomes of every sound, picture and film in it.

Each file is inspected as a row's audio or portrait. It is read, or refused with a sentence. What
FFmpeg plays whole and is refused, and what is read shorter than FFmpeg reads it, is listed: a
person looks whether the sentence is true. Point it at the test files of packages.
"""

import argparse
import io
import subprocess
import tarfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory

from imageio_ffmpeg import get_ffmpeg_exe
from PIL import Image

from flows.preflight.inputs import inspect_audio, inspect_portrait
from sonic_ops.core.config import PortraitConfig
from sonic_ops.core.errors import AudioTooShortError, InputError, NoFaceError

SPEECH = """
wav wave rf64 w64 bwf mp3 mp2 mp1 mpga m4a m4b m4r aac ogg oga opus spx flac fla wma asf aif aiff
aifc caf au snd ac3 eac3 dts amr 3gp ape mpc wv tta tak ra voc mka weba ofr
"""
IMAGES = """
png apng jpg jpeg jpe jfif jp2 j2k jpx gif bmp dib tif tiff webp avif heic heif ppm pgm pbm pnm tga
pcx ico icns psd sgi dds exr xbm xpm mpo fli im msp blp ftex qoi eps pfm
"""
FILMS = "mp4 mov m4v mkv webm avi wmv mpg mpeg mts m2ts ts mxf ogv flv 3g2 vob"
TELLING = ("Errno", "errno", "avcodec", "patches welcome", "nanobind", "Traceback", "NoneType")
SHORTER_S = 0.04


def main() -> None:
    """Inspect every file and print the counts, and what a person should look at."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="folders, sdists and wheels too")
    counts: Counter[tuple[str, str]] = Counter()
    with TemporaryDirectory() as scratch:
        for number, given in enumerate(parser.parse_args().folders):
            folder = unpacked(given, Path(scratch) / str(number))
            for path in sorted(folder.rglob("*")):
                kind = kind_of(path)
                if path.is_file() and kind:
                    outcome, said = inspected(path, kind)
                    counts[kind, outcome] += 1
                    if outcome not in {"read", "refused, as by FFmpeg"}:
                        print(f"{outcome}: {given.name}/{path.relative_to(folder)}: {said}")
    for (kind, outcome), count in sorted(counts.items()):
        print(f"{kind:8} {count:5} {outcome}")
    print(f"{sum(counts.values())} files")


def unpacked(given: Path, target: Path) -> Path:
    """A folder as it is; what an archive holds of sounds and pictures."""
    if given.is_dir():
        return given
    target.mkdir()
    for name, content in members(given):
        if kind_of(PurePath(name)):
            path = target / name.replace("..", "_").lstrip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    return target


def members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """The names and contents of an archive's files."""
    if archive.suffix in {".whl", ".zip"}:
        with zipfile.ZipFile(archive) as packed:
            yield from ((name, packed.read(name)) for name in packed.namelist())
        return
    with tarfile.open(archive) as packed_tar:
        for member in packed_tar:
            file = packed_tar.extractfile(member) if member.isfile() else None
            if file is not None:
                yield member.name, file.read()


def kind_of(path: PurePath) -> str:
    """What the ending promises; empty for nothing of ours."""
    ending = path.suffix.lower().removeprefix(".")
    kinds = {"sound": SPEECH, "picture": IMAGES, "film": FILMS}
    return next((kind for kind, endings in kinds.items() if ending in endings.split()), "")


def inspected(path: Path, kind: str) -> tuple[str, str]:
    """What became of a file, and what was said of it."""
    try:
        return heard(path) if kind == "sound" else seen(path)
    except (AudioTooShortError, NoFaceError) as error:
        return "read", error.message
    except InputError as error:
        said = error.message.replace(str(path), path.name)
        if any(word in said for word in TELLING):
            return "refused in words of a library", said
        return ("refused" if plays(path, kind) else "refused, as by FFmpeg"), said
    except Exception as error:
        return "failed", f"{type(error).__name__}: {error}"


def heard(path: Path) -> tuple[str, str]:
    """Read a sound as a row does, and compare its length."""
    facts = inspect_audio(str(path), None, None)
    lacking_s, said = ffmpeg_s(path) - facts.duration_s, "; ".join(facts.notes)
    if lacking_s > SHORTER_S:
        return "read shorter than by FFmpeg", f"{lacking_s:.2f} s; {said}"
    return "read", said


def seen(path: Path) -> tuple[str, str]:
    """Look at a picture or film as a row does."""
    facts = inspect_portrait(str(path), None, None, PortraitConfig(framing="full", resolution=64))
    return "read", "; ".join(facts.notes)


def ffmpeg_s(path: Path) -> float:
    """Seconds of sound that FFmpeg decodes."""
    audio = ["-i", str(path), "-map", "0:a:0", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"]
    command = [get_ffmpeg_exe(), "-v", "quiet", "-nostdin", *audio]
    return len(subprocess.run(command, check=False, capture_output=True).stdout) / 16_000


def plays(path: Path, kind: str) -> bool:
    """Whether FFmpeg gets sound out of it, or pictures; of a picture, whether Pillow does."""
    if kind == "sound":
        return ffmpeg_s(path) > 0
    try:
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            image.load()
    except Exception:
        stream = ["-i", str(path), "-map", "0:v:0", "-frames:v", "1", "-f", "rawvideo", "-"]
        command = [get_ffmpeg_exe(), "-v", "quiet", "-nostdin", *stream]
        return bool(subprocess.run(command, check=False, capture_output=True).stdout)
    return True


if __name__ == "__main__":
    main()
