"""A video from its sound to its file against the released way: `python -m tests.bench.whole`.

Same weights, steps, noise and encoder, the ways in turn in one process on one thread; medians of
CPU time. `audio` ends with tokens, `denoise` with latents, `decode` with the finished file. The
difference is that of the latents, and of the frames of the files.
"""

import argparse
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.config import ModelsConfig
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.quality.frame_analysis import frames_of
from tests.bench.speech import EXAMPLES, joined
from tests.bench.tables import RESULTS, origin, write_table
from tests.bench.unet_call import QUARTER, SIZES, measure
from tests.bench.ways import PARTS, Made, Ours, Released, Shot, Way
from tests.tiny import TINY, Sizes, make_tiny_weights

QUARTER_SIZES = Sizes(
    unet=QUARTER,
    vae=TINY.vae | {"block_out_channels": [32, 64, 128, 128], "layers_per_block": 2},
    clip=TINY.clip | {"projection_dim": 1024},
    whisper=TINY.whisper | {"d_model": 384, "encoder_attention_heads": 6, "encoder_ffn_dim": 1536},
    token={},
    bucket={},
)
QUARTER_S, QUARTER_STEPS = 2.0, 2


@dataclass
class Entry:
    """What a way has taken, and what it has made last."""

    label: str
    way: Way
    made: list[Made] = field(default_factory=list)

    def seconds(self, part: str) -> list[float]:
        """CPU seconds of a part, or of the `whole`, in each round."""
        if part == "whole":
            return [made.whole_s for made in self.made]
        return [made.seconds[part] for made in self.made]

    def median(self, part: str) -> float:
        return statistics.median(self.seconds(part))


@dataclass(frozen=True, slots=True)
class Duel:
    """Ours against the released way; the table has a line for each part."""

    label: str
    released: str
    ours: str


def run_rounds(entries: Sequence[Entry], shot: Shot, folder: Path, rounds: int) -> None:
    """A B A B: every way in turn, `rounds` times."""
    for index in range(rounds):
        for number, entry in enumerate(entries):
            entry.made.append(entry.way.make(shot, folder / f"{index}-{number}"))


def lines_of(duel: Duel, entries: Mapping[str, Entry]) -> Iterator[str]:
    """A line of the table for each part of a duel."""
    ours, theirs = entries[duel.ours], entries[duel.released]
    for part in (*PARTS, "whole"):
        a, b = theirs.median(part), ours.median(part)
        ratios = [x / y for x, y in zip(theirs.seconds(part), ours.seconds(part), strict=True)]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        apart = {"denoise": latents_apart, "whole": pictures_apart}.get(part)
        said = apart(theirs.made[-1], ours.made[-1]) if apart else ""
        yield f"| {duel.label} | {part} | {a:.2f} | {b:.2f} | {a / b:.2f} | {spread} | {said} |"


def latents_apart(theirs: Made, ours: Made) -> str:
    """How far the latents are apart."""
    difference = (theirs.latents_FCHW - ours.latents_FCHW).abs()
    return f"latents {difference.max():.1e}, mean {difference.mean():.1e}"


def pictures_apart(theirs: Made, ours: Made) -> str:
    """How far the pictures of the finished files are apart."""
    pairs = zip(frames_of(theirs.video), frames_of(ours.video), strict=False)
    errors = [np.square(a.frame_HW3.astype(np.float32) - b.frame_HW3).mean() for a, b in pairs]
    return f"frames {10 * np.log10(255**2 / max(float(np.mean(errors)), 1e-9)):.1f} dB"


def changed(config: RenderConfig, **sections: Any) -> RenderConfig:
    """A preset with some keys of its sections changed."""
    update = {
        name: getattr(config, name).model_copy(update=keys) if isinstance(keys, dict) else keys
        for name, keys in sections.items()
    }
    return config.model_copy(update=update)


@contextmanager
def shot_of(seconds: float) -> Iterator[tuple[Shot, Path]]:
    """Some seconds of the sentences of `examples/`, and an empty folder."""
    with tempfile.TemporaryDirectory() as scratch:
        audio = Path(scratch) / "speech.wav"
        soundfile.write(audio, joined(EXAMPLES, seconds), SAMPLE_RATE_HZ, subtype="PCM_16")
        yield Shot(audio, EXAMPLES / "ada.png"), Path(scratch)


def sketch_lines(seconds: float, rounds: int) -> Iterator[str]:
    """The embedded model: with the numbers of the release, as it ships, and the fast preset."""
    # The pieces of the release; up to 30 s of sound there is but one.
    shipped = changed(load_preset("sketch"), audio_context="blocks")
    exact = changed(shipped, models={"dtype": "float32"}, media={"interpolation": "flow"})
    fast = changed(load_preset("sketch-fast"), audio_context="blocks")
    ways: dict[str, Way] = {
        "exact": Ours(exact),
        "released": Released(exact),
        "needed": Released(exact, needed_only=True),
        "shipped": Ours(shipped),
        "released, shipped": Released(shipped),
        "needed, shipped": Released(shipped, needed_only=True),
        "fast": Ours(fast),
    }
    entries = {name: Entry(name, way) for name, way in ways.items()}
    precise = shipped.models.dtype
    duels = (
        Duel("`sketch` in float32: the same numbers", "released", "exact"),
        Duel("the same, released without needless branches", "needed", "exact"),
        Duel(
            f"`sketch` as it ships, UNet in {precise} on both sides", "released, shipped", "shipped"
        ),
        Duel("the same, released without needless branches", "needed, shipped", "shipped"),
        Duel(
            f"`sketch-fast` ({fast.sampling.steps} steps, features reused) "
            f"against the release of `sketch` ({shipped.sampling.steps} steps)",
            "released, shipped",
            "fast",
        ),
        Duel("the same, released without needless branches", "needed, shipped", "fast"),
    )
    with shot_of(seconds) as (shot, folder):
        run_rounds(list(entries.values()), shot, folder, rounds)
        for duel in duels:
            yield from lines_of(duel, entries)


def quarter_lines(rounds: int) -> Iterator[str]:
    """A quarter of the widths of `sonic`, at 128 px, two steps: more takes long on a CPU."""
    with tempfile.TemporaryDirectory() as weights:
        folder = make_tiny_weights(Path(weights), sizes=QUARTER_SIZES)
        config = changed(
            RenderConfig(models=ModelsConfig(weights=str(folder))),
            portrait={"resolution": 128},
            sampling={"steps": QUARTER_STEPS},
            decoding={"context_frames": 0},  # the chunks of the release
        )
        entries = {
            "released": Entry("released", Released(config)),
            "ours": Entry("ours", Ours(config)),
        }
        with shot_of(QUARTER_S) as (shot, scratch):
            run_rounds(list(entries.values()), shot, scratch, rounds)
            yield from lines_of(
                Duel(
                    f"1/4 width of `sonic`, {QUARTER_STEPS} steps, decoded without context",
                    "released",
                    "ours",
                ),
                entries,
            )


def table(seconds: float, rounds: int, *, quarter: bool) -> Iterator[str]:
    """The whole table, line by line as it is measured."""
    yield "| what | part | released, CPU s | ours, CPU s | ratio | in each round | difference |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    # Calls first: they end the bench if the outputs differ.
    yield from [measure(size) for size in SIZES[: 2 if quarter else 1]]
    yield from sketch_lines(seconds, rounds)
    if quarter:
        yield from quarter_lines(rounds)


def main() -> None:
    """Measure, print, and write the table of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4, help="of speech, at most 30")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-quarter", action="store_true", help="only `sketch`")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for line in table(options.seconds, options.rounds, quarter=not options.no_quarter):
        print(line, flush=True)
        lines.append(line)
    command = f"python -m tests.bench.whole --seconds {options.seconds:g} --rounds {options.rounds}"
    command += " --no-quarter" if options.no_quarter else ""
    if not options.no_write:
        write_table(RESULTS, "speed", [*lines, "", origin(command)])


if __name__ == "__main__":
    main()
