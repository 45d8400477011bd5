"""`python -m tests.security`: take each defence away; its test must fail, and pass with it."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.tables import REPOSITORY, RESULTS, origin, write_table
from tests.security.defences import DEFENCES, Defence

HANGS_S: Final = 300.0
"""How long a test may take without its defence: some readers would go on for hours."""
_FAILED: Final = 1  # of pytest: some tests failed, and nothing else went wrong


def copy_tree(folder: Path) -> None:
    """Link all files of the repository, which git knows or does not ignore, into a folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout
    for name in filter(None, os.fsdecode(listed).split("\0")):
        source, target = REPOSITORY / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source) if source.is_symlink() else os.link(source, target)


@contextmanager
def without(defence: Defence, tree: Path) -> Iterator[None]:
    """Let a tree be without a defence. Raises ValueError unless its code is there once."""
    source, target = REPOSITORY / defence.file, tree / defence.file
    target.unlink()  # a link to the file of the repository
    target.write_text(taken_from(defence, source.read_text("utf-8")), "utf-8")
    yield
    target.unlink()
    os.link(source, target)


def taken_from(defence: Defence, text: str) -> str:
    """Return the text of a file without a defence. Raises ValueError unless it is there once."""
    if text.count(defence.code) != 1:
        raise ValueError(f"{defence.file} has {defence.code!r} {text.count(defence.code)} times")
    return text.replace(defence.code, defence.without)


def run_tests(tree: Path, *tests: str, timeout_s: float | None = None) -> int:
    """Run tests in a tree until one fails, or hangs; the exit status of pytest."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-m", "", *tests]
    env = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    with (tree / "pytest.log").open("wb") as log:
        try:
            return subprocess.run(
                command, cwd=tree, env=env, stdout=log, stderr=log, timeout=timeout_s, check=False
            ).returncode
        except subprocess.TimeoutExpired:
            return _FAILED


def _row(defence: Defence) -> str:
    file, _, test = defence.test.rpartition("::")
    code = " ".join(defence.code.split()).replace("|", "\\|")
    return f"| {defence.threat} | `{defence.file}`: `{code}` | `{file}`: `{test}` |"


def main() -> None:
    """Take the defences away one by one, and with `--write` put the table into RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="threats that begin so")
    parser.add_argument("--write", action="store_true", help="write RESULTS.md")
    options = parser.parse_args()
    chosen = [defence for defence in DEFENCES if defence.threat.startswith(options.only)]
    unnoticed = []
    with tempfile.TemporaryDirectory(dir=REPOSITORY.parent, prefix="sonic-defences-") as folder:
        tree = Path(folder)
        copy_tree(tree)
        if status := run_tests(tree, *(defence.test for defence in chosen)):
            raise SystemExit(
                f"pytest gave {status} with all defences:\n{(tree / 'pytest.log').read_text()}"
            )
        for defence in chosen:
            with without(defence, tree):
                status = run_tests(tree, defence.test, timeout_s=HANGS_S)
            print("failed" if status == _FAILED else f"GAVE {status}", _row(defence), flush=True)
            unnoticed += [defence] * (status != _FAILED)
    if unnoticed:
        raise SystemExit(f"{len(unnoticed)} of {len(chosen)} defences are not missed by their test")
    if options.write:
        lines = ["| threat | code taken away | test that failed |", "| --- | --- | --- |"]
        lines += [*map(_row, chosen), "", origin("python -m tests.security")]
        write_table(RESULTS, "defences", lines)


if __name__ == "__main__":
    main()
