"""`requirements.lock` pins what `constraints.txt` pins, with hashes, and names no registry."""

import re

from tests.bench.tables import REPOSITORY

LOCKED = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)(?: ; ([^\\]+))? \\$", re.MULTILINE)
INSTALLERS = {"setuptools"}
"""What installs, and is pinned by nobody."""


def _name(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _pins() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    return {_name(name): version for name, _, version in (line.partition("==") for line in lines)}


def test_the_lock_pins_what_is_pinned() -> None:
    text, pins = (REPOSITORY / "requirements.lock").read_text(), _pins()
    locked = {_name(name): (version, marker) for name, version, marker in LOCKED.findall(text)}
    assert len(locked) > 200
    assert {n: v for n, (v, _) in locked.items() if n in pins and v != pins[n]} == {}
    # Pins are those of one machine: the others have packages of their own.
    assert {n for n, (_, marker) in locked.items() if n not in pins and not marker} == INSTALLERS
    (without_dependencies,) = re.findall(
        r"^GRADIO := (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE
    )
    assert pins.keys() - locked.keys() == set(without_dependencies.split())


def test_every_requirement_has_hashes_and_no_registry_is_named() -> None:
    text = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in text
    blocks = re.split(r"\n(?=\w)", text.strip())
    assert len(blocks) == len(LOCKED.findall(text))
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", block) for block in blocks)
