"""Files that are nearly right: 300 of each kind, and every one that was ever taken wrongly."""

import time
from pathlib import Path

import pytest
import yaml

from sonic_ops.core.errors import ConfigError
from sonic_ops.core.presets import read_preset
from tests.fuzz import running
from tests.fuzz.kinds import KINDS, Kind
from tests.fuzz.mutations import mutated
from tests.fuzz.running import Find, content_of, finds, finds_in

CASES = sorted((Path(__file__).parent / "cases").iterdir())


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.name)
def test_what_was_found_once_is_read_now(case: Path) -> None:
    kind = case.name.partition("-")[0]
    assert finds_in(kind, [case.read_bytes()]) == []


@pytest.mark.parametrize(
    "text", [f"a: {'[' * 2000}", f"a: {'{b: ' * 2000}", f"a: {'b' * 100_000}"], ids=len
)
def test_a_preset_that_would_take_long_is_refused_before_it_is_parsed(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, parsed = tmp_path / "preset.yaml", list[object]()
    path.write_text(text)
    monkeypatch.setattr(yaml, "safe_load", parsed.append)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_preset(path)
    assert parsed == []


@pytest.mark.parametrize("kind", KINDS)
def test_good_files_are_read(kind: str) -> None:
    assert finds_in(kind, KINDS[kind].seeds()) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_nearly_right_are_read_or_refused(kind: str) -> None:
    assert list(finds(kind, seed=0, count=300)) == []


def test_a_seed_gives_the_same_inputs() -> None:
    assert [content_of("jsonl", 5, n) for n in range(20)] == [
        content_of("jsonl", 5, n) for n in range(20)
    ]
    assert len({content_of("jsonl", 5, n) for n in range(20)}) > 15


def _raise(path: Path) -> None:
    raise ValueError(path.name)


def _hang(_path: Path) -> None:
    time.sleep(60)


def _fill_memory(_path: Path) -> None:
    bytearray(300_000_000)


def _write_elsewhere(path: Path) -> None:
    elsewhere = path.parent.with_suffix(".elsewhere")
    elsewhere.write_text("")
    elsewhere.unlink()


def _read_a_device(_path: Path) -> None:
    with Path("/dev/zero").open("rb") as file:
        file.read(1)


def _die(_path: Path) -> None:
    import os

    os.abort()


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (_raise, "ValueError"),
        (_hang, "a hang"),
        (_fill_memory, "MB of memory"),
        (_write_elsewhere, "touched"),
        (_read_a_device, "touched /dev/zero"),
        (_die, "its process died"),
    ],
)
def test_a_reader_that_breaks_is_found(
    monkeypatch: pytest.MonkeyPatch, read: object, said: str
) -> None:
    monkeypatch.setattr(running, "TIMEOUT_S", 2.0)
    monkeypatch.setattr(running, "MAX_MB", 250)
    bad = Kind("bad", True, lambda: [b"a"], read)  # type: ignore[arg-type]
    monkeypatch.setitem(KINDS, "bad", bad)
    found = finds_in("bad", [b"a", b"b"])
    assert [find.number for find in found] == [0, 1]
    assert all(said in find.what for find in found)


def test_the_other_rows_of_a_table_are_read(tmp_path: Path) -> None:
    """One line of four is changed, and the three others are as they were."""
    import random

    from flows.rows.manifest import open_manifest
    from flows.rows.rows import Row, parse_row

    lines = KINDS["jsonl"].seeds()[0].split(b"\n")
    path = tmp_path / "m.jsonl"
    for number in range(200):
        dice = random.Random(number)
        place = dice.randrange(4)
        changed = mutated([lines[place]], dice, is_text=True)
        changed = changed.translate(None, b"\r\n\x85\xff\xfe")
        path.write_bytes(b"\n".join([*lines[:place], changed, *lines[place + 1 :]]))
        with open_manifest(str(path)) as manifest:
            rows = [parse_row(line, "/", None) for line in manifest.lines()]
        good = {row.id for row in rows if isinstance(row, Row) and not row.errors}
        assert good >= {f"row {n}" for n in range(4) if n != place}, Find("jsonl", number, "")
