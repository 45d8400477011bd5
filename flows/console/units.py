"""Numbers as people read them."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_in_words(size_bytes: float) -> str:
    """Bytes: 512 B, 1.2 MB."""
    power = 0
    while size_bytes >= 1000 and power + 1 < len(_UNITS):
        size_bytes /= 1000
        power += 1
    return f"{size_bytes:.{min(power, 1)}f} {_UNITS[power]}"


def clock(seconds: float) -> str:
    """Seconds: 42 s, 3:05, 1:02:03."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def hours(seconds: float) -> str:
    """Hours of work: 0.004 h, 12.5 h."""
    value = seconds / 3600
    return f"{value:.3f} h" if value < 1 else f"{value:,.1f} h"
