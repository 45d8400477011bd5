"""Language tags of tracks: files take the three letters of ISO 639-2, people write BCP 47."""

from langcodes import Language

# QuickTime knows some languages only, by names of its own; FFmpeg takes these.
_QUICKTIME = {
    "deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "swe": "sve",
}  # fmt: skip


def track_language(tag: str, muxer: str = "") -> str:
    """Convert a BCP 47 tag such as `de`, `pt-BR` or the old `iw`. Raises ValueError."""
    try:
        written = Language.get(tag.strip(), normalize=False)
    except ValueError as error:  # what a library says of a tag is not for the user
        raise ValueError(f"{tag!r} is not a language tag") from error
    primary = written.language or ""
    if len(primary) > 3 or not Language.get(primary).is_valid():
        raise ValueError(f"{tag!r} is not a language tag")
    code = written.to_alpha3()
    return _QUICKTIME.get(code, code) if muxer == "mov" else code
