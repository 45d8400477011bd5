"""Files of the work folder, at any fsspec address. A file that exists is whole."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from sonic_ops.constants import PIECE_TOKENS
from sonic_ops.errors import RenderError, VerifyError
from sonic_ops.files import exists, fetched, reached, remove, storage_fault, written
from sonic_ops.inspection import probe_video
from sonic_ops.timeline import Segment

__all__ = [
    "LatentTrack",
    "TokenTrack",
    "exists",
    "fetched_video",
    "read_tensors",
    "write_once",
    "write_tensors",
]


def write_once(address: str, write: Callable[[Path], object]) -> str:
    """Let `write` fill a local file, then give it its address in one move, unless it exists.

    Raises RenderError if that cannot be done, because the disk is full for example.
    """
    try:
        if not exists(address):
            with written(address) as local:
                write(local)
    except OSError as error:
        raise storage_fault(error) from error
    return address


def write_tensors(address: str, tensors: Mapping[str, Tensor]) -> str:
    """Write tensors as safetensors."""
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    return write_once(address, lambda path: path.write_bytes(save(whole)))


def read_tensors(address: str) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file."""
    try:
        with reached(address) as (filesystem, path):
            content = filesystem.cat_file(path)
    except OSError as error:
        raise storage_fault(error) from error
    try:
        return dict(load(content))
    except SafetensorError as error:
        raise _removed(address) from error


@contextmanager
def fetched_video(address: str, num_output_frames: int) -> Iterator[Path]:
    """A local path of an encoded segment. Raises RenderError if it is damaged."""
    with fetched(address) as path:
        try:
            num_whole = probe_video(path).num_frames
        except VerifyError as error:
            raise _removed(address) from error
        if num_whole != num_output_frames:
            raise _removed(address)
        yield path


def _removed(address: str) -> RenderError:
    """The error of a damaged file, which is removed so that the next try makes it again."""
    remove(address)
    return RenderError(
        f"the file {address} was damaged and is removed",
        remedy="Run the same command again; only the missing work is done.",
    )


class TokenTrack:
    """Tokens of the whole track out of its pieces; only the pieces that are asked for are read."""

    def __init__(self, pieces: Sequence[str], num_tokens: int) -> None:
        self._pieces = pieces
        self._num_tokens = num_tokens
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Tokens `[start, stop)`: (stop - start, L, D), zero outside the track."""
        first, last = max(start, 0), min(stop, self._num_tokens)
        like = self._piece(min(max(first, 0), self._num_tokens - 1) // PIECE_TOKENS)
        out = like.new_zeros(stop - start, *like.shape[1:])
        while first < last:
            index, offset = divmod(first, PIECE_TOKENS)
            part = self._piece(index)[offset : offset + last - first]
            out[first - start : first - start + len(part)] = part
            first += len(part)
        return out

    def _piece(self, index: int) -> Tensor:
        if index not in self._cache:
            self._cache = {k: v for k, v in self._cache.items() if k >= index - 1}
            self._cache[index] = read_tensors(self._pieces[index])["tokens"]
        return self._cache[index]


class LatentTrack:
    """Latents of the whole video out of the files of its segments."""

    def __init__(self, segments: Sequence[Segment], files: Sequence[str]) -> None:
        self._segments = segments
        self._files = files
        self._cache: dict[int, Tensor] = {}

    def read(self, start: int, stop: int) -> Tensor:
        """Latents of the frames `[start, stop)`: (F, C, H, W)."""
        parts = [
            self._segment(s.index)[max(start - s.start, 0) : stop - s.start]
            for s in self._segments
            if s.start < stop and s.stop > start
        ]
        return torch.cat(parts)

    def _segment(self, index: int) -> Tensor:
        if index not in self._cache:
            self._cache[index] = read_tensors(self._files[index])["latents"]
        return self._cache[index]
