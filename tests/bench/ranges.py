"""`python -m tests.bench.ranges`: how far a part of the audio is from that part of the whole.

The embedded model renders two sentences of `examples/` as a whole, and parts of them as `start` and
`end` do: the part is all that it hears. Another seed says how far two renders of one sound are.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

import soundfile
from torch import Tensor

from cluster.config import ClusterConfig
from cluster.pool.base import Pool
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import encode_audio
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.constants import SAMPLE_RATE_HZ, SAMPLES_PER_FRAME
from sonic_ops.models.networks import SonicNetworks
from sonic_ops.pipeline import SonicPipeline
from tests.bench.at_end import latents_of, pictures_of, prepare, psnr_db

PARTS_S = ((0.0, 4.0), (2.0, 6.0), (2.04, 6.04))


def rendered(
    pool: Pool, models: SonicNetworks, request: VideoRequest, config: RenderConfig
) -> Tensor:
    """The pictures of a request."""
    encode_audio(pool, request, lambda progress: None)
    return pictures_of(models, latents_of(pool, request, config, "video"))


def part_of(request: VideoRequest, start_s: float, end_s: float) -> VideoRequest:
    """The same with a part of its audio."""
    samples, rate = soundfile.read(request.audio, dtype="float32")
    part = samples[round(start_s * rate) : round(end_s * rate)]
    work = f"{request.work}/{start_s}-{end_s}"
    Path(work).mkdir()
    soundfile.write(f"{work}/sound.wav", part, SAMPLE_RATE_HZ, subtype="FLOAT")
    return replace(request, audio=f"{work}/sound.wav", num_samples=len(part), work=work)


def main() -> None:
    """Print the table."""
    config = load_preset("sketch")
    models = SonicPipeline.load(config.models)
    with (
        tempfile.TemporaryDirectory() as folder,
        open_pool(ClusterConfig(workers=0), config.models) as pool,
    ):
        request = prepare(Path(folder), config)
        request = part_of(request, 0.0, 8.0)
        whole = rendered(pool, models, request, config)
        Path(folder, "seed").mkdir()
        other = replace(request, seed=2, work=f"{folder}/seed")
        other_pictures = rendered(pool, models, other, config)
        print("| part | against the whole | its middle second | another seed |")
        print("| --- | --- | --- | --- |")
        for start_s, end_s in PARTS_S:
            ours = rendered(pool, models, part_of(request, start_s, end_s), config)
            first = round(start_s * SAMPLE_RATE_HZ / SAMPLES_PER_FRAME)
            theirs = whole[first : first + len(ours)]
            middle = slice(len(ours) // 2 - 6, len(ours) // 2 + 6)
            seed_db = psnr_db(other_pictures[first : first + len(ours)], theirs)
            print(
                f"| {start_s:g} to {end_s:g} s | {psnr_db(ours, theirs):.1f} dB | "
                f"{psnr_db(ours[middle], theirs[middle]):.1f} dB | {seed_db:.1f} dB |",
                flush=True,
            )


if __name__ == "__main__":
    main()
