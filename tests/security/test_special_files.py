"""Devices, pipes, sockets and files of the kernel never end, or are no files: no input is one."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.preflight.inputs import inspect_audio
from flows.rows.manifest import open_manifest
from flows.urls import sha256_of
from sonic_ops.core.errors import SonicError
from sonic_ops.core.files import fetched, open_own, open_url
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


@pytest.fixture(scope="module")
def reader() -> Iterator["subprocess.Popen[str]"]:
    """A process that opens what it is told: one that waits for a pipe can only be killed."""
    code = "from tests.security.test_special_files import refuse_lines; refuse_lines()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.kill()


@pytest.mark.parametrize("kind", KINDS)
def test_no_reader_opens_what_is_no_file(
    tmp_path: Path, kind: str, reader: "subprocess.Popen[str]"
) -> None:
    assert reader.stdin
    assert reader.stdout
    reader.stdin.write(f"{special(tmp_path, kind)}\n")
    reader.stdin.flush()
    assert select.select([reader.stdout], [], [], 60)[0], "it waits for what is no file"
    assert reader.stdout.readline() == "refused\n"


def refuse_lines() -> None:
    """Refuse the path on each line of standard input, and say so."""
    for line in sys.stdin:
        refuse_all(line.rstrip("\n"))
        print("refused", flush=True)


def refuse_all(path: str) -> None:
    for read in (
        sha256_of,
        load_image,
        read_subtitles,
        lambda p: inspect_audio(p, None, None),
        lambda p: open_url(p).__enter__(),
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
    with open_url(str(tmp_path / "b")) as file:
        assert file.read() == b"content"
