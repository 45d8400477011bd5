"""`sonic doctor --calibrate`: render small videos with the workers of a preset, and time it all.

The rows are as many as the workers, so that each computes beside the others as in a real run.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import soundfile
from PIL import Image

from cluster.pool.base import Pool, open_pool
from cluster.pool.metering import PASTED_SIDES, MeteredWorker, Note, read_notes, remove_notes
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.render import denoise_video, encode_audio, encode_video
from flows.planning.calibration import Calibration, Costs
from flows.planning.estimate import num_branches
from flows.planning.trial import Round, write_inputs
from flows.rows.config import RenderConfig
from flows.supervisor.channel import watched
from flows.supervisor.prefect_settings import prepare_prefect, reach_prefect
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.constants import MODEL_FPS, TOKENS_PER_FRAME
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.formats import CODECS, FORMATS, VideoCodec
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.encoding import ENCODERS
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.portrait import portrait_tensors, prepare_portrait

STEPS = 4  # at least, and whole rounds where steps reuse features
WINDOWS = 2
CODEC_FRAMES = 25
USUAL_CODEC: VideoCodec = "h264"
BUDGET_S = 20.0
"""Rounds are repeated until they have taken so long: short ones say little."""

_STAGES = {
    "encode_chunk": "encode audio",
    "condition_portrait": "denoise",
    "condition_frames": "denoise",
    "start": "denoise",
    "denoise": "denoise",
    "fuse": "denoise",
    "store": "denoise",
    "decode": "decode",
    "measure_colour_stats": "decode",
    "encode": "encode",
}


def calibrate(
    config: RenderConfig,
    say: Callable[[str], None],
    budget_s: float = BUDGET_S,
    *,
    started_s: float | None = None,
) -> Calibration:
    """Measure what a preset costs here; what a start takes counts from `started_s` on.

    Raises ConfigError and RenderError as a render does.
    """
    if config.cluster.address is not None:
        raise ConfigError(
            "a cluster that is joined cannot be measured from here: its workers do not see the "
            "folder of the measurement",
            remedy="Leave cluster.address out, measure on one of its machines, and name the file: "
            "--calibration FILE.",
        )
    steps = {"steps": STEPS + -STEPS % config.sampling.cache_interval, "strength": 1.0}
    config = config.model_copy(update={"sampling": config.sampling.model_copy(update=steps)})
    started_s = time.monotonic() if started_s is None else started_s
    prepare_prefect()
    reach_prefect()
    say(f"Prefect answers after {time.monotonic() - started_s:.1f} s")
    with tempfile.TemporaryDirectory(prefix="sonic-calibration-") as folder:
        notes = f"{folder}/notes"
        Path(notes).mkdir()
        make = partial(MeteredWorker, notes)
        with open_pool(config.cluster, config.models, make_worker=make, watch=watched) as pool:
            start_s = time.monotonic() - started_s
            say(f"the first worker was ready after {start_s:.1f} s")
            measure = _Measure(pool, config, Path(folder), notes)
            num_frames = min(WINDOWS * config.sampling.window_frames, config.segment_frames)
            size = Round(pool.num_workers, num_frames)
            measure.round(size)  # the first of everything is slower
            kept_bytes = _kept_bytes(read_notes(notes), config)
            remove_notes(notes)
            measure.reset()
            first_s = time.monotonic()
            num_rounds = 0
            while num_rounds == 0 or time.monotonic() - first_s < budget_s:
                measure.round(size)
                num_rounds += 1
            say(f"{num_rounds} rounds of {size.num_rows} videos of {size.video_s:g} s to render")
            measure.extras(CODEC_FRAMES)
            measured = measure.calibration(size, num_rounds, start_s, kept_bytes)
            ended_s = time.monotonic()
        return replace(measured, start_s=start_s + time.monotonic() - ended_s)


class _Measure:
    """Rows, and what they take."""

    def __init__(self, pool: Pool, config: RenderConfig, folder: Path, notes: str) -> None:
        self._pool, self._config, self._folder, self._notes = pool, config, folder, notes
        self._num = 0
        self.reset()

    def reset(self) -> None:
        """Forget what was measured in this process."""
        self._prepare_s = self._finish_s = 0.0
        self._token_bytes = self._work_bytes = 0

    def round(self, size: Round) -> None:
        """Render as many rows as there are workers, at once."""
        with ThreadPoolExecutor(size.num_rows) as threads:
            for row in [
                threads.submit(self._row, size, self._next()) for _ in range(size.num_rows)
            ]:
                row.result()

    def extras(self, num_frames: int) -> None:
        """Interpolation, pasting and every codec alone."""
        side, affinity = self._config.portrait.resolution, (self._next(), 0)
        jobs: list[tuple[str, tuple[object, ...]]] = [
            ("interpolate", (num_frames, side, self._config.media))
        ] * 2
        jobs += [("paste", (num_frames, side))] * 2
        for codec in CODECS:
            media = self._config.media.model_copy(update={"codec": codec})
            target = str(self._folder / f"{codec}.{ENCODERS[codec].muxer}")
            jobs += [("compress", (num_frames, side, media, target))] * 2
        for method, arguments in jobs:
            self._pool.get(
                self._pool.submit(method, *arguments, affinity=affinity, persistent=True)
            )

    def calibration(
        self, size: Round, num_rounds: int, start_s: float, kept_bytes: int
    ) -> Calibration:
        """Convert all measurements to costs per unit."""
        notes = read_notes(self._notes)
        num_videos = num_rounds * size.num_rows
        spent, device = _Spent(notes, num_videos), self._config.models.device
        peaks: dict[str, int] = defaultdict(lambda: kept_bytes)
        for note in notes:
            if stage := _STAGES.get(note.method):
                peaks[stage] = max(peaks[stage], _bytes(note, device))
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        return Calibration(
            costs=self._costs(size, spent, num_videos),
            start_s=start_s,
            kept_bytes=kept_bytes,
            peak_bytes=dict(peaks),
            work_token_bytes=self._token_bytes / (num_videos * size.num_frames * TOKENS_PER_FRAME),
            work_frame_bytes=(self._work_bytes - self._token_bytes)
            / (num_videos * size.num_frames),
            limit_bytes=_device_bytes(device),
            source=f"measured on {now}",
            is_measured=True,
        )

    def _costs(self, size: Round, spent: "_Spent", num_videos: int) -> Costs:
        frames, sampling = size.num_frames, self._config.sampling
        num_windows = -(-frames // sampling.window_frames)
        # Both are in one job; how it is shared between them is known from each alone.
        own = {codec: spent.alone(f"compress {codec}") for codec in CODECS}
        media = self._config.media
        per_frame = float(media.fps / MODEL_FPS)
        alone_s = spent.alone("interpolate"), per_frame * own[media.codec or USUAL_CODEC]
        encode_s = spent("encode") / frames / sum(alone_s)
        return Costs(
            pixels=self._config.portrait.resolution**2,
            piece_s=spent("encode_chunk"),
            portrait_s=spent("condition_portrait"),
            frame_s=spent("condition_frames") / frames,
            branch_s=spent("denoise") / (num_windows * num_branches(sampling)),
            step_frame_s=spent("start", "fuse", "store", "resume") / (frames * sampling.num_run),
            decode_s=spent("decode") / frames,
            middle_s=encode_s * alone_s[0],
            paste_s=spent.alone("paste") / (CODEC_FRAMES * PASTED_SIDES**2),
            encode_s={codec: encode_s * own[codec] for codec in CODECS},
            driver_row_s=self._prepare_s / num_videos,
            driver_second_s=self._finish_s / (num_videos * size.video_s),
        )

    def _next(self) -> int:
        self._num += 1
        return self._num

    def _row(self, size: Round, order: int) -> None:
        work = self._folder / f"work-{order}"
        work.mkdir()
        sound, picture = work / "voice.wav", work / "picture.png"
        write_inputs(sound, picture, size, order)
        started_s = time.perf_counter()
        request = self._request(work, sound, picture, order)
        prepared_s = time.perf_counter()
        encode_audio(self._pool, request, print_nothing)
        denoise_video(self._pool, request, self._config, print_nothing)
        segments = encode_video(self._pool, request, self._config, print_nothing)
        rendered_s = time.perf_counter()
        media, num_samples = self._config.media, request.num_samples
        finish = Finish(
            Soundtrack(str(sound)),
            Path(request.audio),
            num_samples,
            num_output_frames_of(num_samples, media.fps),
            codec=media.codec,
            fps=media.fps,
        )
        ending = _ending_for(media.codec or USUAL_CODEC)
        finish_video(list(map(Path, segments)), work / f"video{ending}", finish)
        self._pool.pop_costs(order)
        self._prepare_s += prepared_s - started_s
        self._finish_s += time.perf_counter() - rendered_s
        # What does not grow with frames, or is in the finished video as well, is counted elsewhere.
        others = sum(path.stat().st_size for path in work.iterdir() if path.is_file())
        self._work_bytes += _bytes_in(work) - _bytes_in(work / "segments") - others
        self._token_bytes += _bytes_in(work / "tokens")

    def _request(self, work: Path, sound: Path, picture: Path, order: int) -> VideoRequest:
        """Prepare a video request as the flow of a row does."""
        wav = str(work / "sound.wav")
        artifacts.write_sound(wav, lambda path: decode_audio(str(sound), path))
        settings, portrait = self._config.portrait, str(work / "portrait.safetensors")
        with Image.open(picture) as image:
            find_faces(image.convert("RGB"))  # it is looked for in every row
            prepared = prepare_portrait(
                image.convert("RGB"),
                resolution=settings.resolution,
                model_resolution=settings.model_resolution,
                framing="full",
                face_box=Box(*(settings.resolution / 4, settings.resolution / 4) * 2),
                expand=settings.expand,
                mask_area=settings.mask_area,
            )
        artifacts.write_tensors(portrait, lambda: portrait_tensors(prepared))
        num_samples = round(soundfile.info(sound).frames)
        return VideoRequest(
            wav,
            portrait,
            num_samples,
            str(work),
            seed=order,
            order=order,
            audio_context=self._config.audio_context,
            audio_chunk_s=self._config.audio_chunk_s,
        )


class _Spent:
    """Seconds of some methods per video, and of methods that ran alone, at their fastest."""

    def __init__(self, notes: Sequence[Note], num_videos: int) -> None:
        self._num_videos = num_videos
        self._seconds: dict[str, list[float]] = defaultdict(list)
        for note in notes:
            self._seconds[note.method].append(note.seconds)

    def __call__(self, *methods: str) -> float:
        return sum(sum(self._seconds[method]) for method in methods) / self._num_videos

    def alone(self, method: str) -> float:
        return min(self._seconds[method])


def print_nothing(_: object) -> None:
    """Progress that nobody watches."""


def _ending_for(codec: VideoCodec) -> str:
    """Return the file ending of the first container that supports a codec."""
    return next(ending for ending, form in FORMATS.items() if codec in form.video)


def _bytes_in(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _bytes(note: Note, device: str) -> int:
    return note.peak_bytes if device == "cpu" else note.device_peak_bytes


def _kept_bytes(notes: Iterable[Note], config: RenderConfig) -> int:
    """Return the peak memory of loading the weights."""
    device = config.models.device
    return max((_bytes(note, device) for note in notes if note.method == "load"), default=0)


def _device_bytes(device: str) -> int:
    """Return the memory of the device if it has its own; 0 if it is not visible here."""
    if device == "cpu":
        return 0
    import torch

    return torch.cuda.get_device_properties(device).total_memory if torch.cuda.is_available() else 0
