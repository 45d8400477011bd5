"""Memory of a dub against the length of its film: `python -m tests.bench.film_memory [--write]`.

A drawn person sways and talks for some minutes. `sonic dub` with two workers, Prefect, report and
all, but with tiny networks; of every process the most memory that belongs to it alone. Linux only.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Final
from uuid import uuid4

import av
import numpy as np
import soundfile
import yaml

from sonic_ops.core.constants import SAMPLE_RATE_HZ
from tests import films
from tests.bench.films import said
from tests.bench.processes import MARK, marked
from tests.bench.tables import RESULTS, origin, write_table
from tests.end_to_end.conftest import FAST, NOTICE
from tests.tiny import make_tiny_weights

PERIOD_S: Final = 20
"""The head sways in this period: the film comes again without a cut."""
FPS: Final = Fraction(25, 2)
BAR: Final = 1.2
_LOOK_EVERY_S: Final = 0.5
NAMES: Final = {
    "prefect.server": "Prefect's server",
    "watchdog": "watchdog",
    "spawn_main": "workers",
    "forkserver": "workers",
    "ray::": "workers",
    "-m flows dub": "sonic dub",
}


def write_film(path: Path, minutes: float) -> None:
    """Encode a period, and write its packets again and again."""
    period = films.write_film(
        path.with_name("period.mp4"), films.talking(25 * PERIOD_S).every(2), fps=FPS
    )
    with av.open(str(period)) as source, av.open(str(path), "w") as target:
        template = source.streams.video[0]
        packets = [packet for packet in source.demux(template) if packet.size]
        times = [(packet.pts or 0, packet.dts or 0) for packet in packets]
        stream = target.add_stream_from_template(template)
        assert template.time_base is not None
        step = round(PERIOD_S / template.time_base)
        for number in range(round(60 * minutes / PERIOD_S)):
            for packet, (pts, dts) in zip(packets, times, strict=True):
                packet.stream, packet.time_base = stream, template.time_base
                packet.pts, packet.dts = pts + number * step, dts + number * step
                target.mux_one(packet)


def prepare(folder: Path, minutes: float) -> list[str]:
    """Write the film, its new sound and a preset; the command that dubs it."""
    folder.mkdir()
    write_film(folder / "film.mp4", minutes)
    audio = np.resize(said(4009, 30).samples, round(60 * minutes * SAMPLE_RATE_HZ))
    soundfile.write(folder / "new.wav", audio, SAMPLE_RATE_HZ)
    make_tiny_weights(folder / "weights")
    weights = {"models": {"weights": str(folder / "weights"), "notice": NOTICE}}
    own = {"cluster": {"workers": 2}, "segment_frames": 50}
    (folder / "preset.yaml").write_text(yaml.safe_dump(weights | FAST | own))
    command = [sys.executable, "-m", "flows", "dub", str(folder / "film.mp4")]
    recordings = ["--audio", f"de={folder / 'new.wav'}", "--preset", str(folder / "preset.yaml")]
    return [*command, *recordings, "-o", str(folder / "out.mp4")]


def peaks_of(command: Sequence[str]) -> dict[str, float]:
    """Run a command; the peak of memory in MB by the name of a process, of the largest of each."""
    mark, peaks = uuid4().hex, dict[str, float]()
    with subprocess.Popen(command, env=os.environ | {MARK: mark}) as process:
        while process.poll() is None:
            time.sleep(_LOOK_EVERY_S)
            for folder in marked(mark):
                with suppress(OSError, IndexError):
                    name, status = _name_of(folder), (folder / "status").read_text()
                    memory_mb = int(re.findall(r"RssAnon:\s+(\d+)", status)[0]) / 1024
                    peaks[name] = max(peaks.get(name, 0.0), memory_mb)
    assert process.returncode == 0
    return peaks


def _name_of(folder: Path) -> str:
    line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    return next((name for words, name in NAMES.items() if words in line), "others")


def table(minutes: Sequence[float], peaks: Sequence[Mapping[str, float]]) -> list[str]:
    """Lines of a table with a row for each kind of process."""
    head = " | ".join(f"{each:g} min, MB" for each in minutes)
    lines = [f"| process | {head} | ratio | bar |", "|---" * (len(minutes) + 3) + "|"]
    for name in peaks[-1]:
        values = [each.get(name, 0.0) for each in peaks]
        ratio = values[-1] / max(values[0], 0.1)
        shown = f"{ratio:.2f}" if ratio <= BAR else f"**{ratio:.2f}**"
        cells = " | ".join(f"{value:.0f}" for value in values)
        lines.append(f"| {name} | {cells} | {shown} | <= {BAR:g} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 10])
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = [Path(name) / f"{minutes:g}" for minutes in given.minutes]
        pairs = zip(runs, given.minutes, strict=True)
        peaks = [peaks_of(prepare(folder, minutes)) for folder, minutes in pairs]
    shown = " ".join(f"{each:g}" for each in given.minutes)
    command = f"python -m tests.bench.film_memory --minutes {shown}"
    lines = [origin(f"{command} --write"), "", *table(given.minutes, peaks)]
    print("\n".join(lines))
    if given.write:
        write_table(RESULTS, "film-memory", lines)


if __name__ == "__main__":
    main()
