"""`sonic doctor --calibrate`: render small videos with the workers of a preset, and time it all.

The rows are as many as the workers, so that each computes beside the others as in a real run.
Workers return seconds and peak memory with every result.
"""

import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import soundfile
from PIL import Image

from cluster.pool.base import Pool
from cluster.pool.costs import STARTING, RowCosts
from cluster.pool.peaks import Peaks
from cluster.storage import artifacts
from cluster.video.jobs import VideoRequest
from cluster.video.pools import open_pool
from cluster.video.render import denoise_video, encode_audio, encode_video
from flows import urls
from flows.console.units import size_in_words
from flows.planning.calibration import Calibration, Costs, machine_name
from flows.planning.estimate import num_branches
from flows.planning.trial import PASTED_SIDES, CalibrationWorker, Round, write_inputs
from flows.rows.config import RenderConfig
from flows.supervisor.channel import watched
from flows.supervisor.prefect_settings import EarlyPrefect
from sonic_ops.audio.resampling import decode_audio
from sonic_ops.core.constants import MODEL_FPS, TOKENS_PER_FRAME
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.files import fetched, reached, remove_folder
from sonic_ops.core.formats import CODECS, FORMATS, VideoCodec
from sonic_ops.core.scratch import scratch_folder
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.content import Expected
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.picture.faces import Box, find_faces
from sonic_ops.picture.portrait import portrait_tensors, prepare_portrait
from sonic_ops.quality.analysis import analyse_video

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
    work: str | None = None,
) -> Calibration:
    """Measure what a preset costs here; what a start takes counts from `started_s` on.

    The files are in `work`, which a cluster that is joined needs, and are removed. Raises
    ConfigError and RenderError as a render does.
    """
    steps = {"steps": STEPS + -STEPS % config.sampling.cache_interval, "strength": 1.0}
    config = config.model_copy(update={"sampling": config.sampling.model_copy(update=steps)})
    started_s = time.monotonic() if started_s is None else started_s
    with _scratch(config.cluster.address, work) as folder:
        imported_s = time.monotonic() - started_s
        with _opened(config) as pool:
            start_s = time.monotonic() - started_s
            say(f"Prefect and the first worker were ready after {start_s:.1f} s")
            measured = _measured(pool, config, folder, budget_s, say)
            ended_s = time.monotonic()
        start_s = alone_s = start_s + time.monotonic() - ended_s
        if config.cluster.may_be_alone(config.models.device):
            opened_s = time.monotonic()
            with _opened(config, most=1):
                pass
            alone_s = imported_s + time.monotonic() - opened_s
            say(f"a run without Ray starts and ends in {alone_s:.1f} s, others in {start_s:.1f} s")
        return replace(measured, start_s=start_s, alone_start_s=alone_s)


@contextmanager
def _opened(config: RenderConfig, most: int | None = None) -> Iterator[Pool]:
    """Start Prefect beside the workers, as a render does, and yield when both can work."""
    with closing(EarlyPrefect()) as prefect:
        prefect.start()
        with open_pool(
            config.cluster, config.models, most=most, make_worker=CalibrationWorker, watch=watched
        ) as pool:
            prefect.wait()
            pool.wait(pool.submit("device_bytes"))  # the first process has its weights
            yield pool


def _measured(
    pool: Pool, config: RenderConfig, folder: str, budget_s: float, say: Callable[[str], None]
) -> Calibration:
    """Render rounds for as long as the budget lasts; what they cost but for the start."""
    measure = _Measure(pool, config, folder)
    num_frames = min(WINDOWS * config.sampling.window_frames, config.segment_frames)
    size = Round(pool.num_workers, num_frames)
    measure.round(size)  # the first of everything is slower
    measure.reset()
    first_s = time.monotonic()
    num_rounds = 0
    while num_rounds == 0 or time.monotonic() - first_s < budget_s:
        measure.round(size)
        num_rounds += 1
    say(f"{num_rounds} rounds of {size.num_rows} videos of {size.video_s:g} s are rendered")
    measured = measure.calibration(size)
    say(f"a worker held up to {size_in_words(max(measured.peak_bytes.values()))} of memory")
    return measured


class _Measure:
    """Rows, and what they take."""

    def __init__(self, pool: Pool, config: RenderConfig, folder: str) -> None:
        self._pool, self._config, self._folder = pool, config, folder
        self._num = 0
        self.reset()

    def reset(self) -> None:
        """Forget the rows that were measured."""
        self._rows: list[RowCosts] = []
        self._prepare_s = self._finish_s = 0.0
        self._token_bytes = self._work_bytes = 0

    def round(self, size: Round) -> None:
        """Render as many rows as there are workers, at once."""
        with ThreadPoolExecutor(size.num_rows) as threads:
            for row in [
                threads.submit(self._row, size, self._next()) for _ in range(size.num_rows)
            ]:
                row.result()

    def calibration(self, size: Round) -> Calibration:
        """Convert all measurements to costs per unit."""
        device, num_frames = self._config.models.device, len(self._rows) * size.num_frames
        load = self._pool.pop_costs(STARTING).peaks.get("load", Peaks())
        kept_bytes = _bytes(load, device)
        peaks: dict[str, int] = defaultdict(lambda: kept_bytes)
        for method, peak in (entry for row in self._rows for entry in row.peaks.items()):
            if stage := _STAGES.get(method):
                peaks[stage] = max(peaks[stage], _bytes(peak, device))
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        costs, joined = self._costs(size), self._config.cluster.address
        return Calibration(
            costs=costs,
            start_s=0.0,
            alone_start_s=0.0,
            kept_bytes=kept_bytes,
            peak_bytes=dict(peaks),
            work_token_bytes=self._token_bytes / (num_frames * TOKENS_PER_FRAME),
            work_frame_bytes=(self._work_bytes - self._token_bytes) / num_frames,
            limit_bytes=int(self._alone("device_bytes")),
            source=f"measured on {now}",
            is_measured=True,
            machine=f"the cluster at {joined}" if joined else machine_name(),
        )

    def _costs(self, size: Round) -> Costs:
        frames, sampling, spent = size.num_frames, self._config.sampling, self._spent_s
        media, side = self._config.media, self._config.portrait.resolution
        num_windows = -(-frames // sampling.window_frames)
        # Both are in one job; how it is shared between them is known from each alone.
        own = {
            codec: self._alone(
                "compress", CODEC_FRAMES, side, media.model_copy(update={"codec": codec})
            )
            for codec in CODECS
        }
        middle_s = self._alone("interpolate", CODEC_FRAMES, side, media)
        per_frame = float(media.fps / MODEL_FPS)
        share = spent("encode") / frames / (middle_s + per_frame * own[media.codec or USUAL_CODEC])
        return Costs(
            pixels=side**2,
            piece_s=spent("encode_chunk"),
            portrait_s=spent("condition_portrait"),
            frame_s=spent("condition_frames") / frames,
            branch_s=spent("denoise") / (num_windows * num_branches(sampling)),
            step_frame_s=spent("start", "fuse", "store", "resume") / (frames * sampling.num_run),
            decode_s=spent("decode") / frames,
            middle_s=share * middle_s,
            paste_s=self._alone("paste", CODEC_FRAMES, side) / (CODEC_FRAMES * PASTED_SIDES**2),
            encode_s={codec: share * own[codec] for codec in CODECS},
            driver_row_s=self._prepare_s / len(self._rows),
            driver_second_s=self._finish_s / (len(self._rows) * size.video_s),
        )

    def _spent_s(self, *methods: str) -> float:
        """Sum the seconds of methods, per row."""
        seconds = (row.seconds.get(method, 0.0) for row in self._rows for method in methods)
        return sum(seconds) / len(self._rows)

    def _alone(self, method: str, *arguments: object) -> float:
        """Run a job twice while nothing else runs; the smaller of what it gives."""
        affinity = (self._next(), 0)
        runs = [
            self._pool.get(
                self._pool.submit(method, *arguments, affinity=affinity, persistent=True)
            )
            for _ in range(2)
        ]
        return float(min(value for (value,) in runs))

    def _next(self) -> int:
        self._num += 1
        return self._num

    def _row(self, size: Round, order: int) -> None:
        work = urls.join(self._folder, f"work-{order}")
        with scratch_folder() as own:
            audio, face = own / "voice.wav", own / "face.png"
            write_inputs(audio, face, size, order)
            started_s = time.perf_counter()
            request = self._request(work, audio, face, order)
            prepared_s = time.perf_counter()
            encode_audio(self._pool, request, print_nothing)
            denoise_video(self._pool, request, self._config, print_nothing)
            segments = encode_video(self._pool, request, self._config, print_nothing)
            rendered_s = time.perf_counter()
            analyse_video(self._finish(Path(own), audio, request, segments))
            self._finish_s += time.perf_counter() - rendered_s
        self._rows.append(self._pool.pop_costs(order))
        self._prepare_s += prepared_s - started_s
        # What does not grow with frames, or is in the finished video as well, is counted elsewhere.
        others = ("segments", "sound.wav", "portrait.safetensors")
        self._work_bytes += _bytes_in(work) - sum(_bytes_in(urls.join(work, n)) for n in others)
        self._token_bytes += _bytes_in(urls.join(work, "tokens"))

    def _finish(
        self, folder: Path, audio: Path, request: VideoRequest, segments: list[str]
    ) -> Path:
        """Make the finished file, as the flow of a row does."""
        media, num_samples = self._config.media, request.num_samples
        with ExitStack() as stack:
            paths = [stack.enter_context(artifacts.fetched_whole(each)) for each in segments]
            finish = Finish(
                Soundtrack(str(audio)),
                stack.enter_context(fetched(request.audio)),
                num_samples,
                num_output_frames_of(num_samples, media.fps),
                codec=media.codec,
                fps=media.fps,
                expected=Expected(plain=True, still=True),  # clouds and noise: no face moves
            )
            video = folder / f"video{_ending_for(media.codec or USUAL_CODEC)}"
            finish_video(paths, video, finish)
            return video

    def _request(self, work: str, audio: Path, face: Path, order: int) -> VideoRequest:
        """Prepare a video request as the flow of a row does."""
        wav, portrait = (urls.join(work, n) for n in ("sound.wav", "portrait.safetensors"))
        artifacts.write_audio(wav, lambda path: decode_audio(str(audio), path))
        settings = self._config.portrait
        with Image.open(face) as image:
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
        num_samples = round(soundfile.info(audio).frames)
        return VideoRequest(
            wav,
            portrait,
            num_samples,
            work,
            seed=order,
            order=order,
            audio_context=self._config.audio_context,
            audio_chunk_s=self._config.audio_chunk_s,
        )


@contextmanager
def _scratch(cluster: str | None, work: str | None) -> Iterator[str]:
    """Name a folder that every worker reaches; it is removed at the end. Raises ConfigError."""
    if cluster and work is None:
        raise ConfigError(
            f"the nodes of the cluster at {cluster} do not see this machine's temporary folder",
            remedy="Name a folder or bucket that all of them reach: --work URL.",
        )
    name = f"sonic-calibration-{uuid4().hex}"
    folder = urls.join(urls.resolve(work or tempfile.gettempdir(), str(Path.cwd())), name)
    try:
        yield folder
    finally:
        remove_folder(folder)


def print_nothing(_: object) -> None:
    """Progress that nobody watches."""


def _ending_for(codec: VideoCodec) -> str:
    """Return the file ending of the first container that supports a codec."""
    return next(ending for ending, form in FORMATS.items() if codec in form.video)


def _bytes_in(folder: str) -> int:
    with reached(folder) as (filesystem, path):
        return int(filesystem.du(path))


def _bytes(peaks: Peaks, device: str) -> int:
    return peaks.host if device == "cpu" else peaks.device
