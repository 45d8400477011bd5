"""A fast preset is its model's preset but for what makes it fast."""

from collections.abc import Iterator
from typing import Any

import pytest

from flows.rows.config import load_preset

FASTER = {
    "models.vae_dtype", "media.interpolation", "sampling.steps", "sampling.cache_interval",
    "sampling.solver", "sampling.guidance_interval",
}  # fmt: skip


def keys_of(section: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every key with the sections that it is in, and its value."""
    for name, value in section.items():
        if isinstance(value, dict):
            yield from keys_of(value, f"{above}{name}.")
        else:
            yield above + name, value


@pytest.mark.parametrize("name", ["sketch", "sonic"])
def test_a_fast_preset_differs_by_what_makes_it_fast(name: str) -> None:
    base, fast = (dict(keys_of(load_preset(n).model_dump())) for n in (name, f"{name}-fast"))
    changed = {key for key in base if base[key] != fast[key]}
    assert changed <= FASTER
    assert "sampling.steps" in changed
