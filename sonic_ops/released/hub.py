"""Files of the hub: listed with their checksums, fetched with resume, and checked.

The library knows where the hub is; `HF_ENDPOINT` and `HF_TOKEN` mean what they mean to it.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import disk_usage

import httpx2
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from huggingface_hub.file_download import http_get
from huggingface_hub.hf_api import RepoSibling
from huggingface_hub.utils._headers import build_hf_headers

from sonic_ops.core.errors import ConfigError, RenderError
from sonic_ops.core.files import storage_fault
from sonic_ops.released.sources import Source

BLOCK_BYTES = 1 << 20
_DOCUMENTS = ("LICENSE", "LICENCE", "README")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file at one revision of a repository, and where it goes."""

    repository: str
    revision: str
    name: str
    size_bytes: int
    checksum: str  # SHA-256, or for small files the SHA-1 that git gives them
    target: Path

    @property
    def partial(self) -> Path:
        """Return what is there of it until it is whole; its name changes with the content."""
        return self.target.with_name(f".{self.target.name}.{self.checksum[:12]}.partial")


def list_files(source: Source, folder: Path, endpoint: str | None = None) -> list[HubFile]:
    """List the files of a source, with its licence texts.

    Raises ConfigError if a file is missing there or needs a login, RenderError if nobody answers.
    """
    with _hub_faults(source.repository):
        info = HfApi(endpoint=endpoint).model_info(source.repository, files_metadata=True)
    there = {entry.rfilename: entry for entry in info.siblings or ()}
    documents = [name for name in there if "/" not in name and name.startswith(_DOCUMENTS)]
    files = []
    for name in (*source.files, *documents):
        if name not in there:
            raise ConfigError(
                f"The repository {source.repository} has no file {name} any more",
                remedy="Download it by hand from an earlier revision, then convert that folder.",
            )
        size_bytes, checksum = _facts(there[name])
        target = folder / source.folder / name
        if name in documents:
            target = folder / "licences" / source.repository.replace("/", "--") / name
        revision = info.sha or "main"
        files.append(HubFile(source.repository, revision, name, size_bytes, checksum, target))
    return files


def check_space(files: Sequence[HubFile], folder: Path) -> int:
    """Count the bytes still to be fetched. Raises ConfigError if the disk has no room for them."""
    missing = sum(file.size_bytes - _num_here(file) for file in files)
    free = disk_usage(_existing(folder)).free
    if missing > free:
        raise ConfigError(
            f"the download needs {gigabytes(missing)}, but {folder} has {gigabytes(free)} free",
            remedy="Free some space, or choose a folder on a larger disk.",
        )
    return missing


def fetch_file(
    file: HubFile, endpoint: str | None = None, *, say: Callable[[str], None] = lambda _: None
) -> bool:
    """Fetch what is missing of a file, and check it; false if it was there already.

    Raises RenderError if the connection breaks (what has arrived stays) or the content is wrong.
    """
    if file.target.exists() and file.target.stat().st_size == file.size_bytes:
        if _checksum(file.target, file) == file.checksum:
            return False
        say(f"{file.target} is damaged and is downloaded again")
    file.target.parent.mkdir(parents=True, exist_ok=True)
    with _hub_faults(file.repository), file.partial.open("ab") as partial:
        http_get(
            hf_hub_url(file.repository, file.name, revision=file.revision, endpoint=endpoint),
            partial,
            resume_size=partial.tell(),
            headers=build_hf_headers(),
            expected_size=file.size_bytes,
            displayed_filename=file.name,
        )
    if _checksum(file.partial, file) != file.checksum:
        file.partial.unlink()
        raise RenderError(
            f"{file.name} of {file.repository} arrived damaged: its checksum differs",
            remedy="Run the same command again; this file is downloaded again.",
        )
    file.partial.replace(file.target)
    return True


def gigabytes(num_bytes: int) -> str:
    """Format a size."""
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e8 else f"{num_bytes / 1e6:.1f} MB"


@contextmanager
def _hub_faults(repository: str) -> Iterator[None]:
    try:
        yield
    except GatedRepoError as error:
        raise ConfigError(
            f"{repository} requires accepting its licence",
            remedy="Accept it on the model's page, then set HF_TOKEN to your token.",
        ) from error
    except RepositoryNotFoundError as error:
        raise ConfigError(
            f"The hub has no repository {repository}, or requires a login",
            remedy="Set HF_TOKEN to your token, or, if it is gone, download the files by hand.",
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        if getattr(error, "errno", None) is not None:  # of this machine, not of the hub
            raise storage_fault(error) from error  # type: ignore[arg-type]
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise RenderError(
            f"{repository} cannot be fetched ({reason})",
            remedy="Run the same command again; it continues where it stopped.",
        ) from error


def _facts(entry: RepoSibling) -> tuple[int, str]:
    if entry.lfs is not None:
        return entry.lfs.size, entry.lfs.sha256
    return entry.size or 0, entry.blob_id or ""


def _checksum(path: Path, file: HubFile) -> str:
    """Hash a file in the form of its published checksum."""
    digest = hashlib.sha256()
    if len(file.checksum) != 2 * digest.digest_size:
        digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as content:
        while block := content.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _num_here(file: HubFile) -> int:
    for path in (file.target, file.partial):
        if path.exists():
            return min(path.stat().st_size, file.size_bytes)
    return 0


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest existing parent."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())
