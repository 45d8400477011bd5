"""The stages of a training run, in order. Each can be cut off at any minute and run again.

A run folder holds shards (`speech-0`, `images-0`, `windows-0`, `latents-...`), one folder per
trained network with its checkpoint and `curve.csv`, and at the end `export/`.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import torch
from diffusers import AutoencoderDC
from torch import Tensor

from sonic_ops.training import audio_head, autoencoder, dataset, samples, unet_stage
from sonic_ops.training.export import export_model
from sonic_ops.training.loop import Budget, load_average, rank, train_together

_SEED_IMAGES, _SEED_WINDOWS, _SEED_HELD_OUT = 100, 700, 50
WINDOW_FRAMES: Final = 25


@dataclass(frozen=True, slots=True)
class Run:
    """Where and how long; the shares of the budget are those of a run that was looked at."""

    folder: Path
    speech_encoder: Path
    budget_s: float
    num_processes: int = 2
    clips: int = 180
    """Clips of speech per process."""
    people: int = 2500
    """People for single frames, per process."""
    windows: int = 450
    """People for windows of frames, per process."""
    frames_per_person: int = 6
    window_batch: int = 2
    train_window_frames: int = 25

    def share(self, share: float) -> Budget:
        """A part of the budget."""
        return Budget(seconds=self.budget_s * share)

    def shards(self, kind: str) -> list[Path]:
        """The finished shards of a kind."""
        found = sorted(self.folder.glob(f"{kind}-[0-9]*"))
        return [path for path in found if path.suffix != ".draft"]


def run_all(run: Run) -> Path:
    """Data, autoencoder, audio head, single frames, windows, export; the folder of the export."""
    run.folder.mkdir(parents=True, exist_ok=True)
    together(run, make_speech)
    together(run, make_images)
    together(run, train_autoencoder)
    together(run, train_decoder)
    together(run, make_windows)
    together(run, encode_pictures)
    together(run, train_heads)
    together(run, train_frames)
    together(run, train_windows)
    return export(run)


def together(run: Run, stage: Callable[[Run], None]) -> None:
    """Run a stage in all processes."""
    train_together(stage, (run,), num_processes=run.num_processes, folder=run.folder)


def make_speech(run: Run) -> None:
    """Synthesise this process's clips; the first one also makes the held-out clips."""
    kinds = [(f"speech-{rank()}", rank(), run.clips, False)]
    if rank() == 0:
        kinds.append(("heldout-speech-0", _SEED_HELD_OUT, 16, True))
    for name, shard, num_clips, held_out in kinds:
        if not (run.folder / name).exists():
            dataset.write_speech(
                run.folder / name,
                run.speech_encoder,
                shard=shard,
                num_clips=num_clips,
                held_out=held_out,
            )


def make_images(run: Run) -> None:
    """Paint this process's people, one frame here and there."""
    target = run.folder / f"images-{rank()}"
    if not target.exists():
        speech = training_speech(run)
        choose = dataset.single_frames(speech, run.frames_per_person)
        dataset.write_pictures(
            target, speech, choose, shard=_SEED_IMAGES + rank(), num_people=run.people
        )


def make_windows(run: Run) -> None:
    """Paint this process's people, speaking for two seconds."""
    target = run.folder / f"windows-{rank()}"
    if not target.exists():
        speech = training_speech(run)
        choose = dataset.window_frames(speech, WINDOW_FRAMES)
        dataset.write_pictures(
            target, speech, choose, shard=_SEED_WINDOWS + rank(), num_people=run.windows
        )


def train_autoencoder(run: Run) -> None:
    """Encoder and decoder."""
    if not (run.folder / "vae").exists():
        pictures = dataset.read_pictures(run.shards("images"))
        autoencoder.train_whole(pictures, run.folder / "autoencoder", run.share(0.11), seed=1)


def train_decoder(run: Run) -> None:
    """Normal latents, then the decoder on noisy ones; writes `vae`."""
    if (run.folder / "vae").exists():
        return
    pictures = dataset.read_pictures(run.shards("images"))
    vae = autoencoder.make_autoencoder()
    load_average(vae, run.folder / "autoencoder")
    every = max(1, len(pictures.pictures) // 100)
    autoencoder.normalise_latents(vae, autoencoder.to_tensor(pictures.pictures[::every, 0]))
    autoencoder.train_decoder(vae, pictures, run.folder / "decoder", run.share(0.04), seed=2)
    if rank() == 0:
        vae.save_pretrained(run.folder / "vae.draft")
        (run.folder / "vae.draft").rename(run.folder / "vae")


def encode_pictures(run: Run) -> None:
    """Latents of this process's shards."""
    vae = AutoencoderDC.from_pretrained(run.folder / "vae").eval()
    for kind in ("images", "windows"):
        target = run.folder / f"latents-{kind}-{rank()}"
        if not target.exists():
            pictures = dataset.read_pictures([run.folder / f"{kind}-{rank()}"])
            samples.write_latents(target, vae, pictures)


def train_heads(run: Run) -> None:
    """The audio head and the motion controller; writes the tokens of all speech."""
    speech = training_speech(run)
    reader = audio_head.train_token_head(speech, run.folder / "token", run.share(0.025), seed=3)
    audio_head.train_bucket_head(speech, run.folder / "bucket", run.share(0.008), seed=4)
    if rank() == 0 and not (run.folder / "tokens.pt").exists():
        torch.save(audio_head.all_tokens(reader.head, speech), run.folder / "tokens.pt")


def train_frames(run: Run) -> None:
    """The UNet's spatial layers."""
    known = read_samples(run, "images")
    if rank() == 0 and not (run.folder / "scale.json").exists():
        (run.folder / "scale.json").write_text(json.dumps(known.residual_scale))
    unet_stage.train_frames(known, run.folder / "frames", run.share(0.48), seed=5)


def train_windows(run: Run) -> None:
    """All layers of the UNet."""
    known = replace(read_samples(run, "windows"), residual_scale=residual_scale(run))
    unet_stage.train_windows(
        known,
        run.folder / "frames",
        run.folder / "windows",
        run.share(0.30),
        seed=6,
        num_samples=run.window_batch,
        num_frames=run.train_window_frames,
    )


def export(run: Run) -> Path:
    """Write what is trained so far in diffusers layout; before the windows, the single frames."""
    unet = unet_stage.make_unet(seed=5)
    load_average(unet, run.folder / "frames")
    load_average(unet, run.folder / "windows")
    reader, bucket_head = audio_head.MouthReader(), audio_head.make_bucket_head()
    load_average(reader, run.folder / "token")
    load_average(bucket_head, run.folder / "bucket")
    export_model(
        run.folder / "export",
        unet=unet,
        vae=AutoencoderDC.from_pretrained(run.folder / "vae"),
        token_head=reader.head,
        bucket_head=bucket_head,
        speech_encoder=run.speech_encoder,
    )
    return run.folder / "export"


def training_speech(run: Run, *, load_features: bool = True) -> dataset.Speech:
    """All clips that may be trained on."""
    return dataset.read_speech(run.shards("speech"), load_features=load_features)


def read_samples(run: Run, kind: str) -> unet_stage.Samples:
    """Latents, tokens and masks of the shards of a kind."""
    tokens: Tensor = torch.load(run.folder / "tokens.pt", weights_only=True)
    latents = run.shards(f"latents-{kind}")
    speech = training_speech(run, load_features=False)
    return samples.read_samples(run.shards(kind), latents, speech, tokens)


def residual_scale(run: Run) -> float:
    """The spread of latents around the reference, as the single frames had it."""
    return float(json.loads((run.folder / "scale.json").read_text()))
