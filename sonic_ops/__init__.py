"""Mathematics and media of Sonic: functions on tensors, without orchestrator or global state."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sonic_ops.core.errors import SonicError
    from sonic_ops.pipeline import SonicPipeline

__all__ = ["SonicError", "SonicPipeline", "__version__"]

__version__ = "0.1.0"

_HOMES = {"SonicError": "sonic_ops.core.errors", "SonicPipeline": "sonic_ops.pipeline"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: torch takes seconds, and most commands do without."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
