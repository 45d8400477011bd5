"""What GPUs can do, as their makers publish it.

Rates are those of dense float16 products with float32 sums, without sparsity.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from sonic_ops.core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Card:
    """A GPU: TFLOP/s, GB/s and GB, and the publication that says so."""

    name: str
    tflops: float
    bandwidth_gbs: float
    memory_gb: float
    source: str


CARDS: Final = {
    "t4": Card("T4", 65, 320, 16, "NVIDIA T4 data sheet, 2019"),
    "v100": Card("V100 SXM2 32 GB", 125, 900, 32, "NVIDIA V100 data sheet, 2020"),
    "a10": Card("A10", 125, 600, 24, "NVIDIA A10 data sheet, 2022"),
    "a100": Card("A100 SXM 80 GB", 312, 2039, 80, "NVIDIA A100 data sheet, 2022"),
    "l4": Card("L4", 121, 300, 24, "NVIDIA L4 data sheet, 2023"),
    "l40s": Card("L40S", 362, 864, 48, "NVIDIA L40S data sheet, 2023"),
    "rtx3090": Card("RTX 3090", 71, 936, 24, "NVIDIA Ampere GA102 whitepaper, 2021"),
    "rtx4090": Card("RTX 4090", 165, 1008, 24, "NVIDIA Ada whitepaper, 2023"),
    "h100": Card("H100 SXM", 989, 3350, 80, "NVIDIA H100 data sheet, 2024"),
    "h200": Card("H200 SXM", 989, 4800, 141, "NVIDIA H200 data sheet, 2024"),
    "b200": Card("B200", 2250, 8000, 180, "NVIDIA HGX B200 data sheet, 2025"),
}


def card_of(name: str) -> Card:
    """Find a card by its name in any spelling. Raises ConfigError."""
    key = "".join(letter for letter in name.lower() if letter.isalnum())
    key = key.removeprefix("nvidia").removeprefix("geforce")
    if key in CARDS:
        return CARDS[key]
    likely = get_close_matches(key, CARDS, 1)
    raise ConfigError(
        f"The card {name!r} is not known" + (f" (perhaps {likely[0]} is meant)" if likely else ""),
        remedy=f"Choose one of {', '.join(CARDS)}.",
    )
