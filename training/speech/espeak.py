"""Speak by the library of espeak-ng that the package espeakng-loader brings, one text per process.

`python espeak.py` reads a request as JSON and writes a line of JSON, then the sound. The library
carries its state from one text to the next, so that what it says would depend on what it said
before; a new process says the same every time. The program imports nothing but what it needs.
"""

import ctypes
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

_PHONEME_EVENT: Final = 7
_RATE, _PITCH, _RANGE = 1, 3, 4
_SYNCHRONOUS, _PHONEME_EVENTS, _UTF8 = 2, 1, 1


def synthesise(
    text: str, *, voice: str, rate: int, pitch: int, pitch_range: int
) -> tuple[bytes, int, list[tuple[float, str]]]:
    """Return 16-bit samples, their rate in hertz, and starts in seconds with phone names.

    Raises ConfigError if espeakng-loader is not installed.
    """
    request = {"text": text, "voice": voice, "rate": rate, "pitch": pitch, "range": pitch_range}
    request |= _files()
    command = [sys.executable, "-I", "-S", str(Path(__file__))]
    done = subprocess.run(
        command, input=json.dumps(request).encode(), capture_output=True, check=True
    )
    head, sound = done.stdout.split(b"\n", 1)
    answer = json.loads(head)
    return sound, int(answer["rate_hz"]), [(float(s), str(n)) for s, n in answer["starts"]]


def _files() -> dict[str, str]:
    try:
        import espeakng_loader as loader
    except ImportError as error:
        from sonic_ops.core.errors import ConfigError  # the program below runs without packages

        raise ConfigError(
            "espeakng-loader is not installed, so no speech can be made",
            remedy="Install it: .venv/bin/pip install -c constraints.txt -e '.[training]'",
        ) from error
    return {"library": loader.get_library_path(), "voices": loader.get_data_path()}


class _Event(ctypes.Structure):
    """espeak_EVENT of espeak-ng's speak_lib.h."""

    class _Id(ctypes.Union):
        _fields_ = (
            ("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)
        )  # fmt: skip

    _fields_ = (
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text", ctypes.c_int),
        ("length", ctypes.c_int), ("audio_ms", ctypes.c_int), ("sample", ctypes.c_int),
        ("user", ctypes.c_void_p), ("id", _Id),
    )  # fmt: skip


def _main() -> None:
    request = json.load(sys.stdin)
    sound: list[bytes] = []
    starts: list[tuple[float, str]] = []

    def collect(samples: Any, num_samples: int, events: Any) -> int:
        if samples and num_samples > 0:
            sound.append(ctypes.string_at(samples, 2 * num_samples))
        index = 0
        while events[index].type:
            if events[index].type == _PHONEME_EVENT:
                name = events[index].id.string.decode("utf8", "ignore")
                starts.append((events[index].audio_ms / 1000, name))
            index += 1
        return 0

    library = ctypes.CDLL(request["library"])
    voices = request["voices"].encode()
    rate_hz = library.espeak_Initialize(_SYNCHRONOUS, 200, voices, _PHONEME_EVENTS)
    kind = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
    )
    callback = kind(collect)
    library.espeak_SetSynthCallback(callback)
    assert library.espeak_SetVoiceByName(request["voice"].encode()) == 0, request
    for parameter, name in ((_RATE, "rate"), (_PITCH, "pitch"), (_RANGE, "range")):
        library.espeak_SetParameter(parameter, request[name], 0)
    text = request["text"].encode()
    library.espeak_Synth(text, len(text) + 1, 0, 1, 0, _UTF8, None, None)
    head = json.dumps({"rate_hz": rate_hz, "starts": sorted(starts)})
    sys.stdout.buffer.write(head.encode() + b"\n" + b"".join(sound))


if __name__ == "__main__":
    _main()
