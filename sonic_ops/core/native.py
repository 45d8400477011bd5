"""The precision that a device computes in at full speed; nothing is imported for it."""

from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")


def native_dtype(device: str) -> str:
    """Return bfloat16 if the device computes in it natively, else float32."""
    if device != "cpu":
        return "bfloat16"
    try:
        flags = set(_CPU_FACTS.read_text().split())
    except OSError:  # not Linux
        return "float32"
    return "bfloat16" if flags & {"avx512_bf16", "amx_bf16"} else "float32"
