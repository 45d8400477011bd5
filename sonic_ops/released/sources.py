"""Which files make up the released model, where they come from, and what they may be used for."""

from dataclasses import dataclass

SVD = "stable-video-diffusion-img2vid-xt"
WHISPER = "whisper-tiny"

NOTICE = (
    "The released Sonic weights are for non-commercial use (CC BY-NC-SA 4.0), and Stable Video "
    "Diffusion is under its own licence: read both before you use what they render."
)


@dataclass(frozen=True, slots=True)
class Source:
    """Files of one repository of the hub; they keep their names below `folder`."""

    repository: str
    folder: str
    files: tuple[str, ...]
    licence: str


# The folders are those that the authors of Sonic recommend, so that who has the files can convert
# them. RIFE and the face detectors ship with this package.
SOURCES = (
    Source(
        "LeonJoe13/Sonic",
        "",
        ("Sonic/unet.pth", "Sonic/audio2token.pth", "Sonic/audio2bucket.pth"),
        "NON-COMMERCIAL: the authors publish Sonic under CC BY-NC-SA 4.0 (the card of the weights "
        "says afl-3.0; take the stricter one)",
    ),
    Source(
        f"stabilityai/{SVD}",
        SVD,
        (
            "unet/config.json",
            "vae/config.json",
            "vae/diffusion_pytorch_model.safetensors",
            "image_encoder/config.json",
            "image_encoder/model.fp16.safetensors",
            "scheduler/scheduler_config.json",
        ),
        "Stability AI Community License: commercial use has conditions",
    ),
    Source(f"openai/{WHISPER}", WHISPER, ("config.json", "model.safetensors"), "Apache-2.0"),
)
