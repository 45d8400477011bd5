"""What a finished file says of itself: made with AI. Read back from the file, not believed.

The mark has no date and names no row: equal frames and equal audio give equal files. A signature
(`signing.py`) is another on every run.
"""

from collections.abc import Mapping
from pathlib import Path

import sonic_ops
from sonic_ops.core.containers import open_own_container
from sonic_ops.core.formats import Format, format_of
from sonic_ops.provenance.c2pa import (
    DIGITAL_SOURCE_TYPE,
    SIGNED,
    Signer,
    is_signed,
)
from sonic_ops.provenance.c2pa import EDITED_SOURCE_TYPE as EDITED_TYPE
from sonic_ops.provenance.xmp import embed_xmp, read_xmp

COMMENT = "Made with AI: a model drew this video from a picture and a sound."
EDITED = "Edited with AI: a model drew the mouth of a speaker in this film anew."
_TAG = "DIGITALSOURCETYPE"
_TYPES = (DIGITAL_SOURCE_TYPE, EDITED_TYPE)
_PACKET = f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType="{DIGITAL_SOURCE_TYPE}"
    xmp:CreatorTool="sonic-render {sonic_ops.__version__}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def tags_of(form: Format, *, edited: bool = False) -> dict[str, str]:
    """Return the mark as metadata that a container takes while it is muxed.

    A film is edited, and not made.
    """
    comment = EDITED if edited else COMMENT
    match form.muxer:
        case "mp4":
            return {"comment": comment}
        case "mov":
            return {"comment": comment, "xmp": _packet(edited=edited)}
        case "matroska" | "webm":
            return {"comment": comment, _TAG: EDITED_TYPE if edited else DIGITAL_SOURCE_TYPE}
    return {}


def _packet(*, edited: bool) -> str:
    return _PACKET.replace(DIGITAL_SOURCE_TYPE, EDITED_TYPE) if edited else _PACKET


def mark_file(
    path: Path, signer: Signer | None = None, film: Path | None = None, *, edited: bool = False
) -> None:
    """Complete the mark of a file that has its tags, and sign it where its container can be.

    `film` is what was edited, if that is at hand in a form that can be named. Raises
    ConfigError if the key cannot sign.
    """
    embed_xmp(path, _packet(edited=edited).encode())
    if signer is not None and format_of(path.name).can_be_signed:
        signer.sign(path, film)


def provenance_of(path: Path) -> str:
    """Read the marks of a file: `metadata`, `XMP`, `C2PA`; empty without any."""
    form = format_of(path.name)
    packet = read_xmp(path)
    found = {
        "metadata": not form.is_animation and _has_tags(path),
        "XMP": packet is not None and any(kind.encode() in packet for kind in _TYPES),
        SIGNED: form.can_be_signed and is_signed(path),
    }
    return ", ".join(name for name, is_there in found.items() if is_there)


def _has_tags(path: Path) -> bool:
    with open_own_container(path) as container:
        return has_tags(container.metadata)


def has_tags(metadata: Mapping[str, str]) -> bool:
    """Return whether the metadata of a container have the mark."""
    tags = {key.upper(): value for key, value in metadata.items()}
    said = tags.get("COMMENT", "")
    return COMMENT in said or EDITED in said or tags.get(_TAG) in _TYPES
