"""One file with everything that training needs, for a machine that can download nothing.

python -m training.data.bundle RUN TARGET     makes the speech in RUN, then the file

It holds the code, the packages that such a machine lacks, the speech encoder and the speech as
log-mel. Nothing but the standard library is imported here: the packages may be in the bundle.
"""

import argparse
import io
import lzma
import shutil
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final

from sonic_ops.core.errors import ConfigError
from training.fit.options import PACKAGED_ENCODER, add_options, run_of

MOST_BYTES: Final = 60_000_000
PART_BYTES: Final = 15_000_000
PACKAGES: Final = (
    "diffusers", "opencv-python-headless", "importlib_metadata", "zipp", "requests", "urllib3",
    "certifi", "idna", "charset-normalizer",
)  # fmt: skip
"""What diffusers needs beside torch, transformers and Pillow (which torchvision brings). All of it
runs on every CPython from 3.11."""
_CODE, _SITE, _SPEECH, _ENCODER = "code", "site", "speech", "speech_encoder"
_FEATURES: Final = "features.npy"
_MACHINE_CODE: Final = (
    {"id": lzma.FILTER_X86},
    {"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 96 << 20},
)


def write_bundle(
    target: Path, run: Path, speech_encoder: Path, packages: tuple[str, ...] = PACKAGES
) -> int:
    """Pack a run's speech and all else that training needs; the bytes of the file.

    Raises ConfigError above 60 MB.
    """
    draft = target.with_suffix(".draft")
    with (
        lzma.open(draft, "wb", filters=_MACHINE_CODE) as file,
        tarfile.open(fileobj=file, mode="w|") as archive,
    ):
        for source, name in _contents(run, speech_encoder, packages):
            archive.add(source, name, recursive=False, filter=_nobody)
    size = draft.stat().st_size
    if size > MOST_BYTES:
        draft.unlink()
        raise ConfigError(
            f"The bundle would have {size / 1e6:.1f} MB, {MOST_BYTES / 1e6:.0f} MB are allowed",
            remedy="Pack less speech: a smaller --clips, and an empty folder for the run.",
        )
    draft.rename(target)
    return size


def _contents(
    run: Path, speech_encoder: Path, packages: tuple[str, ...]
) -> Iterator[tuple[Path, str]]:
    repository = Path(__file__).resolve().parents[2]
    for package in ("sonic_ops", "training"):
        for path in sorted((repository / package).rglob("*.py")):
            yield path, f"{_CODE}/{path.relative_to(repository)}"
    for name in packages:
        for file in distribution(name).files or ():
            if "__pycache__" not in file.parts and ".." not in file.parts:
                yield Path(str(file.locate())), f"{_SITE}/{file}"
    for path in sorted(speech_encoder.iterdir()):
        yield path, f"{_ENCODER}/{path.name}"
    for path in sorted(run.glob("speech-[0-9]*/*.npy")):
        if path.name != _FEATURES:
            yield path, f"{_SPEECH}/{path.parent.name}/{path.name}"


def _nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    return entry


def extract(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack an archive that this project made; its members stay inside `folder`."""
    # Python 3.11.2, that of Debian 12, has no filters yet.
    safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    archive.extractall(folder, **safely)


def open_bundle(bundle: Path, run: Path) -> Path:
    """Unpack a bundle into the run folder and make its packages importable; the speech encoder."""
    run.mkdir(parents=True, exist_ok=True)
    if not (run / _ENCODER).exists():
        with lzma.open(bundle, "rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
            extract(archive, run / "draft")
        for shard in sorted((run / "draft" / _SPEECH).iterdir()):
            shard.rename(run / shard.name)
        (run / "draft" / _SITE).rename(run / _SITE)
        (run / "draft" / _ENCODER).rename(run / _ENCODER)
        shutil.rmtree(run / "draft")
    sys.path.insert(0, str(run / _SITE))
    return run / _ENCODER


def write_parts(folder: Path, target: Path, name: str) -> list[Path]:
    """Write a folder as `name.tar.00`, ...: `cat name.tar.* | tar x` gives it back."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as archive:
        archive.add(folder, name, filter=_nobody)
    data = whole.getbuffer()
    target.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, first in enumerate(range(0, len(data), PART_BYTES)):
        parts.append(target / f"{name}.tar.{number:02d}")
        parts[-1].write_bytes(data[first : first + PART_BYTES])
    return parts


def main() -> None:
    """Make the speech if need be, and pack."""
    parser = argparse.ArgumentParser(prog="python -m training.data.bundle")
    parser.add_argument("run", type=Path, help="folder of the run that the speech is made for")
    parser.add_argument("target", type=Path, help="the file")
    add_options(parser)
    parser.set_defaults(clips=100)
    options = parser.parse_args()
    # Only a machine that packs makes speech.
    from training.fit.stages import make_speech, run_stage

    run_stage(run_of(options, options.run), make_speech)
    size = write_bundle(options.target, options.run, PACKAGED_ENCODER)
    print(f"{options.target}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
