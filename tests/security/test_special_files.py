"""Devices, pipes, sockets and files of the kernel never end, or are no files: no input is one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flows.addresses import sha256_of
from flows.preflight.inputs import inspect_audio
from flows.rows.manifest import open_manifest
from sonic_ops.core.errors import SonicError
from sonic_ops.core.files import fetched, open_address, open_own
from sonic_ops.media.subtitles import read_subtitles
from sonic_ops.picture.images import load_image
from tests.security.measure import ROOT


def special(folder: Path, kind: str) -> str:
    path = folder / "speech.wav"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    else:
        path.symlink_to(kind)
    return str(path)


KINDS = ["pipe", "socket", "/dev/zero", "/dev/urandom", "/dev/null", "/dev/tty", "/dev"]
KINDS += ["/proc/self/environ", "/proc/kmsg", "/proc/self/maps", "/sys/kernel/uevent_seqnum"]


@pytest.mark.parametrize("kind", KINDS)
def test_no_reader_opens_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """In a process of its own: on a build that waits for the pipe, nothing else would end it."""
    code = (
        "from tests.security.test_special_files import refuse_all; import sys; "
        "refuse_all(sys.argv[1])"
    )
    command = [sys.executable, "-c", code, special(tmp_path, kind)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)


def refuse_all(path: str) -> None:
    for read in (
        sha256_of,
        load_image,
        read_subtitles,
        lambda p: inspect_audio(p, None, None),
        lambda p: open_address(p).__enter__(),
        lambda p: open_own(p).__enter__(),
        lambda p: fetched(p).__enter__(),
        lambda p: open_manifest(p).__enter__(),
        lambda p: sha256_of(f"local://{p}"),
        lambda p: sha256_of(f"simplecache::file://{p}"),
    ):
        with pytest.raises((SonicError, OSError)):
            read(path)


def test_the_sentence_says_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(SonicError, match="a device, a pipe or a socket, and no file"):
        inspect_audio("/dev/zero", None, None)
    with pytest.raises(SonicError, match="made by the system, and no file"):
        read_subtitles("/proc/self/environ")


def test_a_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with open_address(str(tmp_path / "b")) as file:
        assert file.read() == b"content"
