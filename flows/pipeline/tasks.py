"""The tasks of a row. Each takes and returns addresses; what exists already is not made again.

A task is tried again if the machine was at fault (RenderError), never if the row is (InputError).
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from shutil import copyfileobj
from typing import Any, Concatenate, ParamSpec, TypeVar

from prefect import Task, task
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext
from torch import Tensor

from cluster.storage import artifacts
from cluster.video import render as cluster_render
from cluster.video.jobs import VideoRequest
from cluster.video.render import Progress
from flows import addresses
from flows.pipeline.session import current_session
from flows.preflight.checks import PlannedRow
from flows.preflight.inputs import backdrop_of, portrait_of
from flows.preflight.subtitle_files import write_side_car
from flows.rows.rows import Row, blaming
from flows.state.receipts import announce, lease_target, write_owner
from sonic_ops.audio.resampling import decode_audio, num_samples_in
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.errors import DamagedFileError, NoWorkersError, RenderError
from sonic_ops.core.files import fetched, open_address, storage_fault, written
from sonic_ops.core.timeline import num_output_frames_of
from sonic_ops.media.finishing import Finish, finish_video
from sonic_ops.media.inspection import VideoInfo
from sonic_ops.media.soundtrack import Soundtrack
from sonic_ops.media.subtitles import Cue, cut, read_subtitles
from sonic_ops.picture.compositing import backdrop_from, backdrop_tensors
from sonic_ops.picture.portrait import portrait_from, portrait_tensors
from sonic_ops.provenance.c2pa import signer_of

P = ParamSpec("P")
R = TypeVar("R")

RETRY_DELAY_S = 2.0
_MANY = 1000  # the condition below counts, since the number comes from the configuration


def is_machine_fault(_task: object, _run: object, state: State[Any]) -> bool:
    """Retry what another try might do, until the row has failed `max_attempts` times in all."""
    error, session = state.result(raise_on_failure=False), current_session()
    if isinstance(error, DamagedFileError):
        return False  # the whole row is gone through again, and makes the file
    if isinstance(error, NoWorkersError):
        return False  # the run ends
    context = FlowRunContext.get()
    assert context is not None
    assert context.parameters is not None
    num_failures = session.failures[context.parameters["row_id"]]
    return isinstance(error, RenderError) and num_failures < session.config.max_attempts


def stage(function: Callable[Concatenate[PlannedRow, P], R]) -> Task[Concatenate[PlannedRow, P], R]:
    """A Prefect task of a row with the retry rule of this project; failed tries are counted."""

    @wraps(function)
    def counted(planned: PlannedRow, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with _storage_faults():
                return function(planned, *args, **kwargs)
        except DamagedFileError:
            raise
        except RenderError:
            session = current_session()
            session.failures[planned.row.id] += 1
            session.pool.cancel_row(planned.row.number)
            raise

    made: Task[Concatenate[PlannedRow, P], R] = task(
        retries=_MANY,
        retry_delay_seconds=RETRY_DELAY_S,
        retry_condition_fn=is_machine_fault,
        persist_result=False,
    )(counted)
    return made


@contextmanager
def _storage_faults() -> Iterator[None]:
    """A disk that is full, or a store that does not answer, is a fault of the machine."""
    try:
        yield
    except OSError as error:
        raise storage_fault(error) from error


@stage
def decode_sound(planned: PlannedRow) -> str:
    """Decode the audio of the row to 16 kHz mono; the address of a WAV file.

    The first task of a row: the work folder says from now on whose it is.
    """
    target = addresses.join(planned.work, "sound.wav")
    row = planned.row
    _advance(planned, "sound")
    write_owner(planned.work, row.output, planned.fingerprint)

    def decode(path: Path) -> None:
        decode_audio(row.audio, path, start_s=row.start or 0.0, end_s=row.end)

    with blaming("audio"):
        artifacts.write_sound(target, decode)
    with artifacts.fetched_whole(target):
        return target  # whole: all that follows reads parts of it, and sees no checksum


@stage
def prepare_portrait(planned: PlannedRow) -> str:
    """Find the face and cut the picture; the address of a safetensors file."""
    row, target = planned.row, addresses.join(planned.work, "portrait.safetensors")
    settings = current_session().config.for_row(row).portrait
    _advance(planned, "portrait")

    def portrait() -> dict[str, Tensor]:
        return portrait_tensors(portrait_of(row.portrait, row.face_box, settings, row.face))

    def backdrop() -> dict[str, Tensor]:
        shown = portrait_from(artifacts.read_tensors(target))
        return backdrop_tensors(backdrop_of(row.portrait, settings, shown))

    def footage(path: Path) -> None:
        with open_address(row.portrait) as source, path.open("wb") as copy:
            copyfileobj(source, copy)

    with blaming("portrait"):
        artifacts.write_tensors(target, portrait)
        if settings.framing == "paste":
            kept = artifacts.read_tensors(artifacts.write_tensors(_backdrop(planned), backdrop))
            if backdrop_from(kept).moves:
                artifacts.write_video(_footage(planned), footage)
    return target


def _backdrop(planned: PlannedRow) -> str:
    """Where the whole picture is kept that frames are pasted into."""
    return addresses.join(planned.work, "backdrop.safetensors")


def _footage(planned: PlannedRow) -> str:
    """Where the video is kept whose pictures frames are pasted into."""
    return addresses.join(planned.work, "footage.mp4")


@stage
def request_of(planned: PlannedRow, sound: str, portrait: str) -> VideoRequest:
    """What the cluster renders."""
    config = current_session().config.for_row(planned.row)
    is_pasted = config.portrait.framing == "paste"
    return VideoRequest(
        audio=sound,
        portrait=portrait,
        num_samples=num_samples_in(sound),
        work=planned.work,
        seed=config.seed,
        order=planned.row.number,
        backdrop=_backdrop(planned) if is_pasted else None,
        footage=_footage(planned) if is_pasted else None,
        start_s=planned.row.start or 0.0,
        audio_context=config.audio_context,
        audio_piece_s=config.audio_piece_s,
        label=config.provenance.label,
    )


@stage
def encode_audio(planned: PlannedRow, request: VideoRequest) -> list[str]:
    """Whisper tokens of the whole track; an address per piece."""
    return cluster_render.encode_audio(current_session().pool, request, _on_progress(planned))


@stage
def denoise_video(planned: PlannedRow, request: VideoRequest) -> list[str]:
    """Latents of the video; an address per segment."""
    session = current_session()
    config = session.config.for_row(planned.row)
    return cluster_render.denoise_video(session.pool, request, config, _on_progress(planned))


@stage
def encode_video(planned: PlannedRow, request: VideoRequest) -> list[str]:
    """Decoded, interpolated and encoded output frames; an address per segment."""
    return _encoded_segments(planned, request)


@stage
def mux_video(planned: PlannedRow, request: VideoRequest) -> VideoInfo:
    """Stitch the segments, add the original sound, check the file, and give it its final name."""
    session, row = current_session(), planned.row
    media = session.config.for_row(row).media
    segments = _encoded_segments(planned, request)
    _advance(planned, "finish")
    with ExitStack() as stack, written(row.output) as target:
        paths = [stack.enter_context(artifacts.fetched_whole(address)) for address in segments]
        finish = Finish(
            track=Soundtrack(
                row.audio, row.start or 0.0, row.end, row.language, media.loudness_lufs
            ),
            wav=stack.enter_context(fetched(request.audio)),
            num_samples=request.num_samples,
            num_output_frames=num_output_frames_of(request.num_samples, media.fps),
            codec=media.codec,
            fps=media.fps,
            subtitles=_subtitles_of(row, request),
            mark=session.config.provenance.mark,
            signer=signer_of(session.config.provenance),
        )
        with blaming("audio"):
            info = finish_video(paths, target, finish)
        # To finish takes long: who has lost the lease meanwhile must not publish.
        session.leases.check(lease_target(row.output))
        write_side_car(row, finish.subtitles)
        announce(planned.work, target)
    return info


def _subtitles_of(row: Row, request: VideoRequest) -> tuple[Cue, ...]:
    """What is shown in the part that is rendered."""
    if row.subtitles is None:
        return ()
    start_s = row.start or 0.0
    with blaming("subtitles"):
        cues = read_subtitles(row.subtitles)
    return cut(cues, start_s, start_s + request.num_samples / SAMPLE_RATE_HZ)


def _encoded_segments(planned: PlannedRow, request: VideoRequest) -> list[str]:
    session = current_session()
    config = session.config.for_row(planned.row)
    return cluster_render.encode_video(session.pool, request, config, _on_progress(planned))


def _on_progress(planned: PlannedRow) -> Callable[[Progress], None]:
    return lambda progress: _advance(planned, progress.stage, progress.done, progress.total)


def _advance(planned: PlannedRow, name: str, done: int = 0, total: int = 1) -> None:
    current_session().advance(planned, name, done, total)
