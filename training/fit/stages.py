"""The stages of a training run, in order. Each can be cut off at any minute and run again.

A run folder holds shards (`speech-0`, `images-0`, `windows-0`, `latents-...`), one folder per
trained network with its checkpoint, `curve.csv` and `curve.png`, and at the end `export/`.

On a CPU every core trains, and pictures are made before they are needed. On a GPU one process
trains while the cores make new pictures.
"""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import torch

from sonic_ops.core.weights import weights_base
from training.data import dataset, samples
from training.data.shard_workers import Kind, are_working, make_shards, shard_workers
from training.fit import audio_head, autoencoder, unet_stage, weights
from training.fit.diffusion import Feed
from training.fit.export import export_model, write_changes
from training.fit.loop import Budget, load_average, rank, train_together, world_size

IMAGES: Final = Kind("images", first_seed=1_000, people=500, frames=6, whole_windows=False)
WINDOWS: Final = Kind("windows", first_seed=100_000, people=100, frames=25, whole_windows=True)
HEADS: Final = Kind(
    "heads", first_seed=200_000, people=20, frames=25, whole_windows=True, world="heads"
)
_HEAD_COPIES: Final = 2
"""How often each window of a head comes again: in a mirror or not, moved, in other colours."""
_HELD_OUT_SPEECH: Final = 50
_HELD_OUT_CLIPS: Final = 16
SHARES: Final = {
    "autoencoder": 0.12, "decoder": 0.05, "token": 0.02, "bucket": 0.01,
    "frames": 0.35, "windows": 0.33, "guided": 0.12,
}  # fmt: skip
"""The parts of the budget."""
_SCALE: Final = "scale.json"
GUIDANCE: Final = 1.5
"""The guidance that the network learns to give by itself: it makes mouths move as much as in the
data, where 1 gives too little and 2 too much."""
GUIDED_SHARED_NOISE: Final = (0.8, 0.95)
"""The share of the noise that frames have in common in the last stage: around that of sampling."""


@dataclass(frozen=True, slots=True)
class Run:
    """Where, how long, from what."""

    folder: Path
    speech_encoder: Path
    budget_s: float
    start: Path | None = None
    """Weights to go on from; latents stay near theirs, so that their UNet understands them."""
    bundled: bool = False
    """The speech came in a bundle, without features."""
    clips: int = 240
    image_shards: int = 10
    window_shards: int = 24
    head_shards: int = 0
    frozen: tuple[str, ...] = ()
    """Parts of the names of the UNet's layers that windows do not train."""
    guided_rate: float = 6e-4
    """The learning rate of the last stage."""
    shares: Mapping[str, float] = field(default_factory=lambda: SHARES)
    """The parts of the budget; a stage without one leaves its network as it is."""
    processes: int = field(default_factory=lambda: os.cpu_count() or 1)
    gpu: bool = field(default_factory=torch.cuda.is_available)

    @property
    def trainers(self) -> int:
        """Processes that train together."""
        return 1 if self.gpu else self.processes

    @property
    def making(self) -> tuple["Stage", ...]:
        """Return what is made before it trains; beside a GPU windows are painted while it does."""
        return MAKING[:-1] if self.gpu else MAKING

    @property
    def workers(self) -> int:
        """Processes that make pictures while another one trains."""
        return max(1, self.processes - 2) if self.gpu else 0

    def share(self, stage: str) -> Budget:
        """Return the budget of a stage."""
        part = self.shares.get(stage, 0.0) / sum(self.shares.values())
        return Budget(seconds=self.budget_s * part)


Stage = Callable[[Run], None]


def make_speech(run: Run) -> None:
    """Synthesise the clips, those that are held out too; or encode those of a bundle."""
    if run.bundled:
        for shard in samples.finished(run.folder, "speech")[rank() :: world_size()]:
            dataset.write_features(shard, run.speech_encoder)
        return

    def write(name: str, shard: int, num_clips: int, *, held_out: bool) -> None:
        if not (run.folder / name).exists():
            dataset.write_speech(
                run.folder / name,
                run.speech_encoder,
                shard=shard,
                num_clips=num_clips,
                held_out=held_out,
            )

    write(f"speech-{rank()}", rank(), -(-run.clips // world_size()), held_out=False)
    if rank() == 0:
        write("heldout-speech-0", _HELD_OUT_SPEECH, _HELD_OUT_CLIPS, held_out=True)


def make_images(run: Run) -> None:
    """Paint people, one frame here and there."""
    numbers = range(rank(), run.image_shards, world_size())
    make_shards(run.folder, IMAGES, numbers, speech_tracks(run))


def make_windows(run: Run) -> None:
    """Paint people who speak for two seconds."""
    numbers = range(rank(), run.window_shards, world_size())
    make_shards(run.folder, WINDOWS, numbers, speech_tracks(run))


def make_heads(run: Run) -> None:
    """Render heads that speak for two seconds."""
    numbers = range(rank(), run.head_shards, world_size())
    make_shards(run.folder, HEADS, numbers, speech_tracks(run))


def train_autoencoder(run: Run) -> None:
    """Encoder and decoder."""
    if (run.folder / "vae").exists() or not run.share("autoencoder").seconds:
        return
    pictures = dataset.read_pictures(samples.finished(run.folder, "images"))
    autoencoder.train_whole(
        weights.start_autoencoder(run.start),
        pictures,
        run.folder / "autoencoder",
        run.share("autoencoder"),
        seed=1,
        held=run.start is not None,
    )


def train_decoder(run: Run) -> None:
    """Normal latents, then the decoder on noisy ones; writes `vae`."""
    if (run.folder / "vae").exists():
        return
    vae = weights.start_autoencoder(run.start)
    load_average(vae, run.folder / "autoencoder")
    if (budget := run.share("decoder")).seconds:
        pictures = dataset.read_pictures(samples.finished(run.folder, "images"))
        if not run.start:
            every = max(1, len(pictures.pictures) // 100)
            autoencoder.normalise_latents(vae, autoencoder.to_tensor(pictures.pictures[::every, 0]))
        autoencoder.train_decoder(vae, pictures, run.folder / "decoder", budget, seed=2)
    if rank() == 0:
        vae.save_pretrained(run.folder / "vae.draft")
        (run.folder / "vae.draft").rename(run.folder / "vae")


def encode_pictures(run: Run) -> None:
    """Latents of all shards there are; those that grow are encoded as they come."""
    if run.gpu:
        return
    vae = weights.load_autoencoder(run.folder / "vae").eval()
    for kind in (IMAGES, WINDOWS, HEADS):
        copies = _HEAD_COPIES if kind is HEADS else 0
        for shard in samples.finished(run.folder, kind.name)[rank() :: world_size()]:
            target = shard.with_name(samples.LATENTS + shard.name)
            if not target.exists():
                samples.write_latents(target, vae, dataset.read_pictures([shard]), copies=copies)


def train_heads(run: Run) -> None:
    """Train the audio head and the motion controller, and write the tokens of all speech."""
    speech = dataset.read_speech(samples.finished(run.folder, "speech"))
    torch.manual_seed(3)
    reader, bucket_head = audio_head.MouthReader(), audio_head.make_bucket_head()
    if run.start:
        weights.fill(reader.head, run.start, "audio2token")
        weights.fill(bucket_head, run.start, "audio2bucket")
    audio_head.train_token_head(reader, speech, run.folder / "token", run.share("token"), seed=3)
    audio_head.train_bucket_head(
        bucket_head, speech, run.folder / "bucket", run.share("bucket"), seed=4
    )
    if rank() == 0 and not (run.folder / "tokens.pt").exists():
        torch.save(audio_head.all_tokens(reader.head, speech), run.folder / "tokens.pt")


def train_frames(run: Run) -> None:
    """Train the UNet's spatial layers."""
    if not run.share("frames").seconds:
        return
    unet_stage.train_frames(
        fed(run, [IMAGES]),
        weights.start_unet(run.start),
        run.folder / "frames",
        run.share("frames"),
        seed=5,
    )


def train_windows(run: Run) -> None:
    """Train all layers of the UNet."""
    _train_windows(run, "frames", "windows", unet_stage.Windows(), seed=6)


def train_guided(run: Run) -> None:
    """Train all layers once more to give in one call what audio guidance would."""
    guided = unet_stage.Windows(
        rate=run.guided_rate, shared_noise=GUIDED_SHARED_NOISE, guidance=GUIDANCE
    )
    _train_windows(run, "windows", "guided", guided, seed=7)


def _train_windows(
    run: Run, before: str, name: str, windows: unet_stage.Windows, *, seed: int
) -> None:
    if not run.share(name).seconds:
        return
    unet = weights.start_unet(run.start)
    for folder in ("frames", before):
        load_average(unet, run.folder / folder)
    windows = replace(windows, frozen=run.frozen)
    unet_stage.train_windows(
        fed(run, [WINDOWS, HEADS]),
        unet,
        run.folder / name,
        run.share(name),
        seed=seed,
        windows=windows,
    )


def fed(run: Run, kinds: Sequence[Kind]) -> Feed:
    """Return the samples of all kinds; on a GPU the first grow in number while it trains."""
    tokens = torch.load(run.folder / "tokens.pt", weights_only=True)
    scale_file, scale = run.folder / _SCALE, known_scale(run)
    feed: Feed
    if run.gpu:
        vae = weights.load_autoencoder(run.folder / "vae").eval()
        first = kinds[0]
        more_may_come = partial(are_working, first)
        feed = samples.GrowingSamples(run.folder, first.name, vae, tokens, scale, more_may_come)
    else:
        found = [samples.finished(run.folder, samples.LATENTS + kind.name) for kind in kinds]
        known = samples.read_samples([shard for shards in found for shard in shards], tokens, scale)
        feed = lambda: known  # noqa: E731
    if rank() == 0 and not scale_file.exists():
        draft = scale_file.with_suffix(".draft")
        draft.write_text(json.dumps(feed().residual_scale))
        draft.rename(scale_file)
    return feed


def known_scale(run: Run) -> float | None:
    """Return what latents are divided by: as the run began, or as its first UNet has learnt.

    None where neither says: the spread of the latents decides.
    """
    file = run.folder / _SCALE
    return float(json.loads(file.read_text())) if file.exists() else weights.start_scale(run.start)


def painting(run: Run) -> AbstractContextManager[None]:
    """On a GPU, the other cores paint windows as long as it trains."""
    if not run.gpu:
        return nullcontext()
    return shard_workers(run.folder, WINDOWS, run.workers, samples.finished(run.folder, "speech"))


def export(run: Run) -> None:
    """Write what is trained so far in diffusers layout."""
    unet = weights.start_unet(run.start)
    for folder in ("frames", "windows", "guided"):
        load_average(unet, run.folder / folder)
    reader, bucket_head = audio_head.MouthReader(), audio_head.make_bucket_head()
    load_average(reader, run.folder / "token")
    load_average(bucket_head, run.folder / "bucket")
    export_model(
        run.folder / "export",
        unet=unet,
        vae=weights.load_autoencoder(run.folder / "vae"),
        token_head=reader.head,
        bucket_head=bucket_head,
        speech_encoder=run.speech_encoder,
    )
    weights.write_scale(run.folder / "export", known_scale(run))
    if run.start and (base := weights_base(run.start)):
        write_changes(run.folder / "changes" / "unet", unet.unet, weights.start_unet(base).unet)


def speech_tracks(run: Run) -> dataset.Speech:
    """Return all clips that may be trained on, without their features."""
    return dataset.read_speech(samples.finished(run.folder, "speech"), load_features=False)


MAKING: Final[tuple[Stage, ...]] = (make_speech, make_images, make_heads, make_windows)
"""By all cores."""
TRAINING: Final[tuple[Stage, ...]] = (
    train_autoencoder, train_decoder, encode_pictures, train_heads, train_frames, train_windows,
    train_guided, export,
)  # fmt: skip


def run_stage(run: Run, stage: Stage) -> None:
    """Run one stage in as many processes as it needs."""
    run.folder.mkdir(parents=True, exist_ok=True)
    together = run.processes if stage in MAKING else run.trainers
    num_processes = 1 if stage is export else together
    train_together(stage, (run,), num_processes=num_processes, folder=run.folder)


def run_all(run: Run) -> Path:
    """Run all stages; return the folder of the export."""
    for stage in run.making:
        run_stage(run, stage)
    with painting(run):
        for stage in TRAINING:
            run_stage(run, stage)
    return run.folder / "export"
