"""What an inspection has found is not looked for again, as long as the file is the same."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from flows.preflight.remembered import NAME, Remembered
from sonic_ops.core.errors import FieldError


@dataclass(frozen=True)
class Facts:
    size: tuple[int, int]
    notes: tuple[str, ...] = ()


class Inspection:
    """Counts how often it looks."""

    def __init__(self) -> None:
        self.num_looks = 0

    def __call__(self, url: str, *details: object) -> Facts:
        self.num_looks += 1
        if not Path(url).read_bytes():
            raise FieldError("it is empty", remedy="Fill it.", field="portrait")
        return Facts((len(Path(url).read_bytes()), 2), tuple(map(str, details)))


@pytest.fixture
def inspection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inspection:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return Inspection()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"12345")
    return path


def test_another_run_finds_it(inspection: Inspection, file: Path) -> None:
    first = Remembered().found(inspection, Facts, str(file), (1, 2), None)
    assert Remembered().found(inspection, Facts, str(file), (1, 2), None) == first
    assert inspection.num_looks == 1
    assert Remembered().found(inspection, Facts, str(file), (1, 3), None) != first
    assert inspection.num_looks == 2


@pytest.mark.parametrize("change", ["content", "time", "file"])
def test_a_file_that_has_changed_is_looked_at(
    change: str, inspection: Inspection, file: Path
) -> None:
    remembered = Remembered()
    remembered.found(inspection, Facts, str(file))
    status = file.stat()
    if change == "content":
        file.write_bytes(b"123456")
    elif change == "file":
        file.rename(file.with_name("old.png"))
        file.write_bytes(b"54321")
    if change != "content":
        moved_ns = 1 if change == "time" else 0
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + moved_ns))
    remembered.found(inspection, Facts, str(file))
    assert inspection.num_looks == 2


def test_what_is_wrong_is_looked_at_again(inspection: Inspection, file: Path) -> None:
    file.write_bytes(b"")
    remembered = Remembered()
    for _ in range(2):
        with pytest.raises(FieldError):
            remembered.found(inspection, Facts, str(file))
    assert inspection.num_looks == 2


def test_a_damaged_cache_costs_time_only(
    tmp_path: Path, inspection: Inspection, file: Path
) -> None:
    table = tmp_path / "cache" / "sonic-render" / "inspections" / NAME
    table.parent.mkdir(parents=True)
    table.write_bytes(b"no database, but long enough to be read as one" * 100)
    for _ in range(2):
        assert Remembered().found(inspection, Facts, str(file)).size == (5, 2)
    assert inspection.num_looks == 2
