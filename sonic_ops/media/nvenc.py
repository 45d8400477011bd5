"""Whether this machine encodes video on its GPU, and whether a preset may ask for it."""

from fractions import Fraction
from functools import lru_cache

import av

from sonic_ops.core.errors import ConfigError

_SIDE = 256


@lru_cache
def has_nvenc() -> bool:
    """Return whether NVENC can be opened here; checked once per process."""
    return can_open("h264_nvenc")


def can_open(encoder: str) -> bool:
    """Return whether an encoder is in this FFmpeg, and opens on this machine."""
    try:
        context = av.CodecContext.create(encoder, "w")
        context.width, context.height, context.pix_fmt = _SIDE, _SIDE, "yuv420p"
        context.time_base = Fraction(1, 25)
        context.open()
    except (av.codec.codec.UnknownCodecError, av.error.FFmpegError, OSError):
        return False
    return True


def require_nvenc() -> None:
    """Raise ConfigError if this machine cannot encode by NVENC."""
    if not has_nvenc():
        raise ConfigError(
            "media.encoder is nvenc, and no encoder of NVENC can be opened on this machine",
            remedy="Set media.encoder to cpu or auto. A100, H100 and H200 have no NVENC; other "
            "cards of NVIDIA need a driver that shares it (NVIDIA_DRIVER_CAPABILITIES=video in a "
            "container).",
        )
