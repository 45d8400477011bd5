"""Numbers as people read them."""

DAY_S = 86_400.0
DAYS_FROM_S = 2 * DAY_S

_UNITS = ("B", "kB", "MB", "GB", "TB")


def size_in_words(size_bytes: float) -> str:
    """Format bytes: 512 B, 1.2 MB."""
    power = 0
    while size_bytes >= 1000 and power + 1 < len(_UNITS):
        size_bytes /= 1000
        power += 1
    return f"{size_bytes:.{min(power, 1)}f} {_UNITS[power]}"


def clock(seconds: float) -> str:
    """Format seconds: 42 s, 3:05, 1:02:03, 2.5 days."""
    if seconds >= DAYS_FROM_S:
        return f"{seconds / DAY_S:,.1f} days"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def hours(seconds: float) -> str:
    """Return hours of work: 0.004 h, 12.5 h, 72.0 h (3.0 days)."""
    value = seconds / 3600
    days = f" ({seconds / DAY_S:,.1f} days)" if seconds >= DAYS_FROM_S else ""
    return f"{value:.3f} h" if value < 1 else f"{value:,.1f} h{days}"
