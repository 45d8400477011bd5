"""`python -m tests.bench.long --seconds 600 --recordings FOLDER`: a long row of real speech.

Renders it as a user does (`sonic render`, preset `sketch`), and prints the peak memory of every
process, the length of the finished file, and the offset of its sound, measured anew: excerpts of
the source all over its length are looked for in the finished track.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from sonic_ops.audio.alignment import EXCERPT_SAMPLES, correlate
from sonic_ops.audio.reading import first_audio_s
from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.media.inspection import probe_video
from tests.bench.speech import EXAMPLES, joined

MIB = 1 << 20
NUM_EXCERPTS = 20
LAG_SAMPLES = SAMPLE_RATE_HZ // 10
_LOOK_S = 0.5
# What a process is, by what stands in its command line; the first that fits counts.
ROLES = {
    "worker": "ray::",
    "Prefect's server": "prefect.server",
    "raylet": "raylet/raylet",
    "Ray's store of names": "gcs_server",
    "Ray's agents": "/ray/",
    "driver": "sonic",
}


def processes(root: int) -> dict[int, str]:
    """The command lines of a process and all that it has started, by number."""
    parents, lines = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text()
            lines[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # it has ended
        parents[int(folder.name)] = int(status.rpartition(")")[2].split()[1])
    ours = {root}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return {pid: lines[pid] for pid in ours if pid in lines}


def peak_bytes(pid: int) -> int:
    """The most memory that a process has held, as the kernel counts it; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    sizes = [line.split()[1] for line in status if line.startswith("VmHWM")]
    return 1024 * int(sizes[0]) if sizes else 0


def watched(command: list[str]) -> dict[str, list[int]]:
    """Run a command to its end; the peaks of its processes by their role, highest first."""
    peaks: dict[int, int] = {}
    roles: dict[int, str] = {}
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            for pid, line in processes(process.pid).items():
                peaks[pid] = max(peaks.get(pid, 0), peak_bytes(pid))
                # A worker takes its name after it has started, and one that ends loses it: what
                # is said last counts.
                if line or pid not in roles:
                    named = (role for role, part in ROLES.items() if part in line)
                    roles[pid] = next(named, "others")
            time.sleep(_LOOK_S)
    assert process.returncode == 0, f"sonic ended with {process.returncode}"
    found: dict[str, list[int]] = {}
    for pid, peak in sorted(peaks.items(), key=lambda pair: -pair[1]):
        found.setdefault(roles[pid], []).append(peak)
    return found


def offsets_ms(video: Path, wav: Path, num_samples: int, folder: Path) -> list[float]:
    """By how much the sound of a file is late, at places all over it."""
    heard = folder / "heard.wav"
    decode_audio(str(video), heard)
    lead = round(first_audio_s(str(video)) * SAMPLE_RATE_HZ)
    found = []
    for start in np.linspace(LAG_SAMPLES, num_samples - EXCERPT_SAMPLES, NUM_EXCERPTS).astype(int):
        excerpt = read_samples(wav, int(start), int(start) + EXCERPT_SAMPLES)
        first = int(start) - lead - LAG_SAMPLES
        latent_origin = read_samples(heard, max(first, 0), first + len(excerpt) + 2 * LAG_SAMPLES)
        latent_origin = np.pad(latent_origin, (max(-first, 0), 0))
        short = len(excerpt) + 2 * LAG_SAMPLES - len(latent_origin)
        place, _ = correlate(excerpt, np.pad(latent_origin, (0, max(short, 0))))
        found.append(1000 * (place - LAG_SAMPLES) / SAMPLE_RATE_HZ)
    return found


def main() -> None:
    """Render, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--recordings", type=Path, default=EXAMPLES, help="WAV, 16 kHz mono")
    parser.add_argument("--work", help="folder of the files; none: the system's temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.work) as scratch:
        folder = Path(scratch)
        samples = joined(options.recordings, options.seconds)
        soundfile.write(folder / "speech.wav", samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        cells = {"id": "long", "portrait": str(EXAMPLES / "ada.png"), "audio": "speech.wav"}
        (folder / "rows.jsonl").write_text(json.dumps(cells | {"output": "long.mp4"}))
        sonic = [str(Path(sys.executable).with_name("sonic")), "render", str(folder / "rows.jsonl")]
        started = time.monotonic()
        peaks = watched(sonic)
        wall_s = time.monotonic() - started
        info = probe_video(folder / "long.mp4")
        num_samples = decode_audio(str(folder / "speech.wav"), folder / "source.wav")
        length_s = num_samples / SAMPLE_RATE_HZ
        late = offsets_ms(folder / "long.mp4", folder / "source.wav", num_samples, folder)
    print(f"{length_s:.2f} s of speech in {wall_s:.0f} s")
    for role, sizes in peaks.items():
        print(f"peak memory, {role}: {', '.join(f'{size / MIB:.0f}' for size in sizes)} MiB")
    print(
        f"video {1000 * (info.duration_s - length_s):+.1f} ms, "
        f"sound {1000 * (info.audio_duration_s - length_s):+.1f} ms against the source"
    )
    print(f"sound late by {min(late):+.3f} to {max(late):+.3f} ms at {len(late)} places")


if __name__ == "__main__":
    main()
