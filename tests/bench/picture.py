"""The finished picture: what pasting changes, and whether a border in time can be seen.

`python -m tests.bench.picture --work FOLDER [--seconds 24]`: a person in a slide of 1920 x 1080
speaks, by the preset `sketch` in this process. What is in the folder already is not made again.
Shape letters: F frames, H, W, C rows, columns, colours.
"""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from cluster.config import ClusterConfig
from cluster.storage.artifacts import fetched_whole, write_tensors
from cluster.storage.readers import LatentTrack
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import denoise_video, encode_audio, encode_video
from flows.rows.config import RenderConfig, load_preset
from sonic_ops.core.config import DecodingConfig
from sonic_ops.core.constants import OUTPUT_FRAMES_PER_FRAME, SAMPLE_RATE_HZ
from sonic_ops.core.timeline import cut_segments, num_output_frames_of
from sonic_ops.interpolation.flow import output_frames
from sonic_ops.media.encoding import ENCODERS, EncodeSettings, encode_frames, settings_of
from sonic_ops.media.muxing import stitch
from sonic_ops.picture.compositing import RIM, Backdrop, backdrop_tensors, feather, prepare_backdrop
from sonic_ops.picture.portrait import portrait_tensors, prepare_portrait
from sonic_ops.pipeline import SonicPipeline
from sonic_ops.sampling.decoding import decode_frames
from tests.scene import draw_scene

EXAMPLES = Path(__file__).parents[2] / "examples"
Pictures = NDArray[np.uint8]
Numbers = NDArray[np.float64]


def prepare(folder: Path, seconds: float, config: RenderConfig) -> tuple[VideoRequest, Backdrop]:
    """The request of a video of the scene, and what its frames are pasted into."""
    folder.mkdir(parents=True, exist_ok=True)
    recordings = [soundfile.read(EXAMPLES / f"{name}.wav")[0] for name in ("young_man", "amiable")]
    num_samples = round(seconds * SAMPLE_RATE_HZ)
    audio = np.resize(np.concatenate(recordings), num_samples)
    soundfile.write(folder / "sound.wav", audio, SAMPLE_RATE_HZ, subtype="FLOAT")
    scene, settings = draw_scene(1080), config.portrait
    portrait = prepare_portrait(
        scene,
        resolution=settings.resolution,
        framing="paste",
        face_box=None,
        expand=settings.expand,
        mask_area=settings.mask_area,
    )
    backdrop = prepare_backdrop(scene, portrait.crop, portrait.box)
    kept = {"portrait": portrait_tensors(portrait), "backdrop": backdrop_tensors(backdrop)}
    for name, tensors in kept.items():
        write_tensors(str(folder / f"{name}.safetensors"), partial(dict, tensors))
    request = VideoRequest(
        audio=str(folder / "sound.wav"),
        portrait=str(folder / "portrait.safetensors"),
        num_samples=num_samples,
        work=str(folder),
        backdrop=str(folder / "backdrop.safetensors"),
    )
    return request, backdrop


def render(request: VideoRequest, config: RenderConfig) -> Path:
    """The stitched video."""
    with open_pool(ClusterConfig(workers=0), config.models) as pool:
        encode_audio(pool, request, lambda progress: None)
        denoise_video(pool, request, config, print)
        encoded = encode_video(pool, request, config, print)
    video = Path(request.work) / "video.mp4"
    with ExitStack() as stack:
        stitch([stack.enter_context(fetched_whole(each)) for each in encoded], video)
    return video


def pictures_of(video: Path) -> Iterator[Pictures]:
    """The output frames of a video as they are stored: luma over both chromas (3/2 H, W)."""
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="yuv420p")


def measure_pasting(video: Path, backdrop: Backdrop, config: RenderConfig) -> None:
    """Print what the luma keeps outside of the part, along its border, and in time."""
    height, width = backdrop.image_HWC.shape[:2]
    left, top, right, bottom = backdrop.crop
    outside = np.ones((height, width), bool)
    outside[top:bottom, left:right] = False
    rim = feather(backdrop, RIM)
    lossless, settings = EncodeSettings(crf=0), settings_of(config.media)
    source = next(still_lumas(video, backdrop, lossless, 1))
    parts: list[Numbers] = []
    for name, lumas in (
        ("video", map(partial(luma, height=height), pictures_of(video))),
        ("picture alone", still_lumas(video, backdrop, settings, 50)),
    ):
        errors, steps = [], []
        for luma_HW in lumas:
            errors.append(psnr_db((luma_HW - source)[outside]))
            steps.append(border_step(luma_HW, backdrop))
            parts += [luma_HW[top:bottom, left:right]] if name == "video" else []
        print(
            f"{name}: outside {min(errors):.2f} dB in the worst output frame; step across "
            f"the border {np.mean(steps):.3f}"
        )
    print(f"step across the border before the codec {border_step(source, backdrop):.3f}")
    for name, place in (("rim", rim < 1), ("inside", rim == 1)):
        means = np.array([part[place].mean() for part in parts])
        print(
            f"{name}: deviation of the mean luma in time {means.std():.3f}, "
            f"from one output frame to the next {np.abs(np.diff(means)).mean():.3f}"
        )


def still_lumas(
    video: Path, backdrop: Backdrop, settings: EncodeSettings, num_frames: int
) -> Iterator[Numbers]:
    """The luma of the picture after the codec."""
    path = video.with_name("still.mp4")
    encode_frames([backdrop.image_HWC] * num_frames, path, settings)
    height = len(backdrop.image_HWC)
    return map(partial(luma, height=height), pictures_of(path))


def luma(picture: Pictures, height: int) -> Numbers:
    return picture[:height].astype(float)


def psnr_db(error: Numbers) -> float:
    return float(10 * np.log10(255**2 / np.mean(np.square(error))))


def border_step(picture: Numbers, backdrop: Backdrop) -> float:
    """Mean difference between the two sides of the border of the part."""
    left, top, right, bottom = backdrop.crop
    across = [picture[top:bottom, x] - picture[top:bottom, x - 1] for x in (left, right)]
    down = [picture[y, left:right] - picture[y - 1, left:right] for y in (top, bottom)]
    return float(np.mean([np.abs(side).mean() for side in across + down]))


def measure_borders(request: VideoRequest, config: RenderConfig) -> None:
    """Print what the borders of chunks and of segments change, against a video without any."""
    models = SonicPipeline.load(config.models)
    segments = cut_segments(request.num_frames, config.segment_frames)
    track = LatentTrack(segments, tuple(map(request.latents, segments)))
    whole = range(request.num_frames)

    def decoded(decoding: DecodingConfig) -> Pictures:
        chunks = decode_frames(models.decode_latents, track.read, whole, len(whole), decoding)
        return np.concatenate([to_uint8(chunk) for chunk in chunks])

    one = DecodingConfig(chunk_frames=len(whole), context_frames=0)
    frames_FHWC = decoded(config.decoding)
    every = config.decoding.chunk_frames
    say_ratios("chunks of frames", every, changes(frames_FHWC), changes(decoded(one)))
    way = models.interpolator(config.media.interpolation)
    span = range(num_output_frames_of(request.num_samples))
    stream = output_frames(way, frames_FHWC, 0, span)
    shown_FHWC = np.stack(list(stream))
    length = OUTPUT_FRAMES_PER_FRAME * config.segment_frames
    for codec in ENCODERS:
        media = config.media.model_copy(update={"codec": codec})
        say_keys(shown_FHWC, length, Path(request.work), settings_of(media))


def say_keys(shown_FHWC: Pictures, length: int, folder: Path, settings: EncodeSettings) -> None:
    """Print how the first frames of segments stand out of a file, and how large and true it is.

    Against the same frames of a file that is not cut, and against all frames that are no key
    frames; the latter before the codec too.
    """
    lossless = encoded(shown_FHWC, len(shown_FHWC), folder, EncodeSettings(crf=0))
    cut, whole = (encoded(shown_FHWC, n, folder, settings) for n in (length, len(shown_FHWC)))
    kilobytes = (folder / "parts.mp4").stat().st_size / 1000
    height = shown_FHWC.shape[1]
    error = psnr_db(cut[:, :height].astype(float) - lossless[:, :height])
    first = slice(length - 1, None, length)
    found, uncut, before = map(changes, (cut, whole, lossless))
    elsewhere = np.delete(
        np.arange(len(found)), slice(settings.gop_frames - 1, None, settings.gop_frames)
    )
    print(
        f"{settings.codec}, {kilobytes:.0f} kB, {error:.2f} dB: first frames of segments "
        f"{found[first].sum() / uncut[first].sum():.4f} of those of an uncut file, "
        f"{found[first].mean() / found[elsewhere].mean():.2f} of elsewhere "
        f"({before[first].mean() / before[elsewhere].mean():.2f} before the codec)"
    )


def to_uint8(frames_FCHW: torch.Tensor) -> Pictures:
    return np.asarray((frames_FCHW * 255).to(torch.uint8).movedim(1, -1))


def encoded(frames_FHWC: Pictures, length: int, folder: Path, settings: EncodeSettings) -> Pictures:
    """The frames after the codec, encoded in segments of a length and stitched."""
    paths = []
    for start in range(0, len(frames_FHWC), length):
        paths.append(folder / f"part-{start:06}.mp4")
        part = frames_FHWC[start : start + length]
        encode_frames(part, paths[-1], settings, expected=len(part))
    stitch(paths, folder / "parts.mp4")
    return np.stack(list(pictures_of(folder / "parts.mp4")))


def changes(frames_FHWC: Pictures) -> Numbers:
    """Mean difference of every frame to the one before it; entry 0 belongs to frame 1."""
    pairs = pairwise(frames_FHWC)
    return np.array([np.abs(b.astype(float) - a).mean() for a, b in pairs])


def say_ratios(name: str, every: int, found: Numbers, reference: Numbers) -> None:
    """Print borders against elsewhere, and against the same places of a video without borders.

    The first is noisy, since speech does not move evenly: its range over grids that are moved to
    where no border is says how noisy.
    """
    grids = [
        found[first - 1 :: every].mean() / np.delete(found, slice(first - 1, None, every)).mean()
        for first in range(1, every + 1)
    ]
    borders = slice(every - 1, None, every)
    low, high = np.quantile(grids[:-1], (0.05, 0.95))
    print(
        f"{name}, {len(found[borders])} borders: against the same places without borders "
        f"{found[borders].sum() / reference[borders].sum():.4f}, against elsewhere "
        f"{grids[-1]:.3f} (no border: {low:.3f} to {high:.3f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=24)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    config = load_preset("sketch")
    request, backdrop = prepare(options.work, options.seconds, config)
    video = render(request, config)
    measure_pasting(video, backdrop, config)
    measure_borders(request, config)


if __name__ == "__main__":
    main()
