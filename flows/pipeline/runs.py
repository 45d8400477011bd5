"""What the flows of one command share, and what the tasks of one row share: always passed on.

These are plain classes: Prefect writes the parameters of a flow into its database if it can turn
them into JSON, and inputs do not belong there.
"""

from collections.abc import Callable
from functools import cached_property
from threading import Event

from cluster.pool.base import Pool
from cluster.video.jobs import VideoRequest
from cluster.video.progress import Progress
from flows import urls
from flows.console.progress import Reporter
from flows.rows.config import RenderConfig
from flows.rows.planned import PlannedRow
from flows.rows.rows import Row
from flows.state.journal import Journal
from flows.state.leases import Leases
from flows.state.receipts import lease_target
from flows.state.results import RowResult
from flows.state.row_store import RowStore
from flows.supervisor.channel import notify_supervisor

LIVE_FRAMES = 10
"""Frames of a segment to denoise of a video that is watched: little is computed before the first
image that this one does not need."""


class Run:
    """What the rows of one command share: where they are rendered, and who is told of it.

    With `denoise_frames`, denoising is cut into segments of at most so many frames, for a video
    that is rendered alone: all workers have something to do, however short it is. Once `stopped` is
    set, rows end early. `preset` is the name of the preset, for the results.
    """

    def __init__(
        self,
        config: RenderConfig,
        pool: Pool,
        reporter: Reporter,
        leases: Leases,
        denoise_frames: int | None = None,
        stopped: Event | None = None,
    ) -> None:
        self.config, self.pool, self.reporter, self.leases = config, pool, reporter, leases
        self.denoise_frames = denoise_frames
        self.preset: str | None = None
        self.stopped = stopped or Event()

    def finished_with(self, fingerprint: str) -> str | None:
        """Return the video of an earlier run with a fingerprint; None if there is none."""
        return None


class ManifestRun(Run):
    """A manifest on its way, and where its results go.

    `report` is where the report of the run will be.
    """

    def __init__(
        self,
        config: RenderConfig,
        pool: Pool,
        reporter: Reporter,
        store: RowStore,
        journal: Journal,
        leases: Leases,
        report: str | None = None,
    ) -> None:
        super().__init__(config, pool, reporter, leases)
        self.store, self.journal, self.report = store, journal, report

    def finished_with(self, fingerprint: str) -> str | None:
        """Return the video that an earlier run of the manifest has finished."""
        return self.store.finished_with(fingerprint)

    def record(self, result: RowResult) -> None:
        """Take the result of a row; one that was rendered survives this process. Raises OSError."""
        self.store.record(result)
        if result.status in ("done", "failed"):
            self.journal.record(result)
        if result.status != "locked":
            notify_supervisor(ended=result.id)


class RowRun:
    """One row on its way: its plan and settings, and the run it belongs to."""

    def __init__(self, run: Run, planned: PlannedRow) -> None:
        self.run, self.planned = run, planned
        self.config = run.config.for_row(planned.row)
        self.num_failures = 0

    def __repr__(self) -> str:
        return self.id

    @property
    def id(self) -> str:
        return self.planned.row.id

    @property
    def row(self) -> Row:
        return self.planned.row

    @property
    def output(self) -> str:
        return self.planned.row.output

    @property
    def shown_output(self) -> str:
        return urls.printable(self.output)

    @property
    def pool(self) -> Pool:
        return self.run.pool

    @cached_property
    def is_pasted(self) -> bool:
        """Tell whether the face is pasted back into the whole image."""
        return self.config.portrait.framing == "paste"

    @property
    def cutting(self) -> RenderConfig:
        """Return the configuration that denoising is cut by; any cut gives the same bits.

        That holds if frames are fused at every step, and if no colours are measured by segments.
        """
        config, frames = self.config, self.run.denoise_frames
        if config.live:
            frames = LIVE_FRAMES
        if frames is None or config.fusion != "every_step" or config.media.colour_correction:
            return config
        frames = min(config.segment_frames, max(frames, 2 * config.border_tolerance_frames + 1))
        return config.model_copy(update={"segment_frames": frames})

    @property
    def is_driven_apart(self) -> bool:
        """Tell whether the mouth is moved by other audio than the viewer hears."""
        return self.row.voice is not None or self.config.audio.isolate_voice

    @property
    def audio_end_s(self) -> float | None:
        """Return when the used part of the audio ends; None at its own end."""
        film = self.planned.film
        return self.row.end if film is None or film.audio_end_s is None else film.audio_end_s

    def path(self, name: str) -> str:
        """Name a file in the work folder of the row."""
        return urls.join(self.planned.work, name)

    def request(self, num_samples: int) -> VideoRequest:
        """Describe the video to the cluster; the files named here are made by the first tasks."""
        config = self.config
        return VideoRequest(
            audio=self.path("sound.wav"),
            portrait="" if self.row.video else self.path("portrait.safetensors"),
            num_samples=num_samples,
            work=self.planned.work,
            seed=config.seed,
            order=self.row.number,
            backdrop=self.path("backdrop.safetensors") if self.is_pasted else None,
            footage=self.path("footage.mp4") if self.is_pasted else None,
            start_s=self.row.start or 0.0,
            audio_context=config.audio_context,
            audio_chunk_s=config.audio_chunk_s,
            label=config.provenance.label,
        )

    def advance(self, stage: str, done: int = 0, total: int = 1) -> None:
        """Show progress; here a row ends early if the user has stopped the run.

        Raises LockedError if another command has taken the row over.
        """
        if self.run.stopped.is_set():
            raise KeyboardInterrupt
        self.run.leases.check(lease_target(self.output))
        self.run.reporter.advance(self.id, stage, done, total)

    @property
    def on_progress(self) -> Callable[[Progress], None]:
        """Return what the cluster calls as the work goes on."""
        return lambda progress: self.advance(progress.stage, progress.done, progress.total)
