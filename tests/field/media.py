"""Media files as the field has them, written by FFmpeg's own command line from real speech."""

import random
import subprocess
from pathlib import Path

from imageio_ffmpeg import get_ffmpeg_exe

DATA = Path(__file__).parent / "data"
EXAMPLES = Path(__file__).parents[2] / "examples"
SPEECH = EXAMPLES / "young_man.wav"  # 2.99 s
SPEECH_S = 2.99
IMAGES = ("-f", "lavfi", "-i", f"testsrc=d={SPEECH_S}:s=160x120:r=25")


def ffmpeg(*arguments: object) -> None:
    """Run FFmpeg."""
    command = [get_ffmpeg_exe(), "-v", "error", "-y", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def speech_in(target: Path, *arguments: str) -> Path:
    """The speech in the container that the name says."""
    ffmpeg("-i", SPEECH, *arguments, target)
    return target


def film_in(target: Path, *arguments: str) -> Path:
    """A film of a test picture with the speech."""
    ffmpeg(*IMAGES, "-i", SPEECH, "-map", "0:v", "-map", "1:a", *arguments, target)
    return target


def decoded_s(source: Path) -> float:
    """Seconds of audio that FFmpeg decodes."""
    command = [get_ffmpeg_exe(), "-v", "quiet", "-i", str(source), "-map", "0:a:0"]
    form = ["-ac", "1", "-ar", "16000", "-f", "s16le", "-"]
    audio = subprocess.run([*command, *form], check=False, capture_output=True).stdout
    return len(audio) / 32_000


def flipped(source: Path, target: Path, seed: str) -> Path:
    """The file with a flipped bit in every 5000 bytes, at least three."""
    data, dice = bytearray(source.read_bytes()), random.Random(seed)
    for _ in range(max(len(data) // 5000, 3)):
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    target.write_bytes(data)
    return target
