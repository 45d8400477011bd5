"""Whether the numbers that a network gives are numbers at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from math import isfinite
from typing import TYPE_CHECKING

from sonic_ops.core.errors import BrokenOutputError

if TYPE_CHECKING:
    from torch import Tensor

_ZEROS: ContextVar[set[str]] = ContextVar("networks that gave nothing but zeros")


def require_finite(
    tensor: "Tensor", network: str, where: str = "", *, may_be_zero: bool = False
) -> "Tensor":
    """Return what a network gave. Raises BrokenOutputError if it holds NaN or infinity."""
    total = float(tensor.sum())
    if not isfinite(total) and not is_finite(tensor):
        raise not_finite(network, where)
    if (
        total == 0
        and not may_be_zero
        and (names := _ZEROS.get(None)) is not None
        and not tensor.any()
    ):
        names.add(network)
    return tensor


def not_finite(network: str, where: str = "") -> BrokenOutputError:
    """Return the error of a network that gave NaN or infinity."""
    return BrokenOutputError(
        f"{network} gave numbers that are not finite (NaN or infinity){where}",
        remedy="Check the weights, or compute in float32 with models.dtype; then run the same "
        "command again: it goes on from what is right.",
    )


def is_finite(tensor: "Tensor") -> bool:
    """Return whether a tensor holds neither NaN nor infinity."""
    # A sum is the fastest pass, and no NaN or infinity is lost in it; large numbers may overflow.
    return isfinite(float(tensor.sum())) or bool(tensor.isfinite().all())


def in_words(frames: Sequence[int]) -> str:
    """Name the frames of a window or chunk."""
    return f"frames {frames[0]} to {frames[-1]}"


@contextmanager
def locating(where: str) -> Iterator[None]:
    """Say in a BrokenOutputError where it arose, such as the segment."""
    try:
        yield
    except BrokenOutputError as error:
        raise BrokenOutputError(f"{error.message}{where}", remedy=error.remedy) from error


@contextmanager
def collecting_zeros() -> Iterator[set[str]]:
    """Collect the networks that give nothing but zeros, which is right for none of them."""
    names: set[str] = set()
    token = _ZEROS.set(names)
    try:
        yield names
    finally:
        _ZEROS.reset(token)
