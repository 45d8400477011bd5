"""The audio head (`audio2token`) and the motion controller (`audio2bucket`).

The head learns to hear the mouth: a linear read-out of its tokens must give the mouth track. The
UNet later reads the tokens alone. The controller learns a clip's two amplitudes from one second.
Shape letters: N frames, S tokens of a span, K hidden states, D channels.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sonic_ops.core.constants import (
    BUCKET_GAIN,
    BUCKET_OFFSET,
    MOTION_BEFORE_TOKENS,
    MOTION_SPAN_TOKENS,
    SPEECH_BEFORE_TOKENS,
    SPEECH_SPAN_TOKENS,
)
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from training.data.dataset import Speech
from training.fit.device import batch_size, training_device
from training.fit.loop import Budget, Group, Loss, Schedule, Trainer, load_average
from training.people.mouth import NUM_MOUTH

CONTEXT_CHANNELS: Final = 64
CONTEXT_TOKENS: Final = 8
MAX_BUCKET: Final = 32.0
"""The motion bucket of amplitude 1."""
_BATCH: Final = 192
_CHANNEL_WEIGHT: Final = (1.0, 1.0, 1.5, 2.0, 1.0, 1.0)


def make_token_head() -> AudioToToken:
    """Return a new audio head of the sketch model."""
    head: AudioToToken = AudioToToken(
        intermediate_dim=192, output_dim=CONTEXT_CHANNELS, context_tokens=CONTEXT_TOKENS
    )
    return head


def make_bucket_head() -> AudioToBucket:
    """Return a new motion controller of the sketch model."""
    head: AudioToBucket = AudioToBucket(clip_channels=CONTEXT_CHANNELS, intermediate_dim=64)
    return head


class MouthReader(nn.Module):
    """The audio head with a linear read-out of the mouth: N S K D -> N 6."""

    def __init__(self) -> None:
        super().__init__()
        self.head = make_token_head()
        self.read = nn.Linear(CONTEXT_TOKENS * CONTEXT_CHANNELS, NUM_MOUTH)
        with torch.no_grad():
            self.head.proj1.weight *= 0.5

    def forward(self, span_NSKD: Tensor) -> Tensor:
        mouth: Tensor = self.read(self.head(span_NSKD).flatten(1))
        return mouth


def speech_rows(speech: Speech) -> Tensor:
    """Return rows of all clips that are a token of speech and not the zeros between clips."""
    spans = zip(speech.starts.tolist(), speech.lengths.tolist(), strict=True)
    return torch.cat([torch.arange(start, start + length) for start, length in spans])


def clip_of_rows(speech: Speech) -> Tensor:
    """Return the clip of every row of `speech_rows`."""
    return torch.repeat_interleave(
        torch.arange(len(speech.starts)), torch.from_numpy(speech.lengths)
    )


def hear(speech: Speech, rows_N: Tensor) -> Tensor:
    """Return what the audio head sees at the rows: N 10 K D."""
    return speech.windows(rows_N, SPEECH_BEFORE_TOKENS, SPEECH_SPAN_TOKENS).float()


def hear_motion(speech: Speech, rows_N: Tensor) -> Tensor:
    """Return what the motion controller sees at the rows: N 50 1 D."""
    spans = speech.windows(rows_N, MOTION_BEFORE_TOKENS, MOTION_SPAN_TOKENS)
    return spans[:, :, -1:].float()


def _on(speech: Speech, device: torch.device) -> Speech:
    return replace(speech, features=speech.features.to(device))


def mouth_loss(reader: MouthReader, speech: Speech) -> Loss:
    """Error of the mouth track, hearing with noise."""
    device = speech.features.device
    num = batch_size(_BATCH, device)
    rows = speech_rows(speech).to(device)
    tracks = torch.from_numpy(speech.tracks[:, :NUM_MOUTH]).float().to(device)
    spread = speech.features[rows[::50]].float().std((0, 2))[:, None]
    weight = torch.tensor(_CHANNEL_WEIGHT, device=device)

    def loss(generator: torch.Generator) -> Tensor:
        options: dict[str, Any] = {"generator": generator, "device": device}
        picks = rows[torch.randint(len(rows), (num,), **options)]
        x = hear(speech, picks)
        gain = 1 + 0.1 * torch.randn(num, 1, 1, 1, **options)
        x = x * gain + 0.15 * spread * torch.randn(x.shape, **options)
        error = F.smooth_l1_loss(reader(x), tracks[picks], reduction="none")
        return (error * weight).mean()

    return loss


def bucket_loss(head: AudioToBucket, speech: Speech) -> Loss:
    """Error of the two amplitudes."""
    device = speech.features.device
    num = batch_size(_BATCH, device)
    rows, clips = speech_rows(speech).to(device), clip_of_rows(speech).to(device)
    buckets = MAX_BUCKET * torch.from_numpy(speech.amplitudes).to(device)
    spread = speech.features[rows[::50], -1].float().std()
    blank = torch.zeros(num, CONTEXT_CHANNELS, device=device)

    def loss(generator: torch.Generator) -> Tensor:
        options: dict[str, Any] = {"generator": generator, "device": device}
        picks = torch.randint(len(rows), (num,), **options)
        x = hear_motion(speech, rows[picks])
        x = x + 0.3 * spread * torch.randn(x.shape, **options)
        wanted = (buckets[clips[picks]] - BUCKET_OFFSET) / BUCKET_GAIN
        return F.smooth_l1_loss(head(x, blank), wanted)

    return loss


def train_token_head(
    reader: MouthReader, speech: Speech, folder: Path, budget: Budget, *, seed: int
) -> MouthReader:
    """Train the audio head; resumes from `folder`."""
    device = training_device()
    reader.to(device)
    schedule = Schedule(rate=1e-3, warmup_steps=50, weight_decay=2e-2, average=0.99)
    trainer = Trainer([Group(dict(reader.named_parameters()))], folder, schedule, seed=seed)
    trainer.run(mouth_loss(reader, _on(speech, device)), budget)
    load_average(reader, folder)
    reader.cpu()
    return reader


def train_bucket_head(
    head: AudioToBucket, speech: Speech, folder: Path, budget: Budget, *, seed: int
) -> AudioToBucket:
    """Train the motion controller; resumes from `folder`."""
    device = training_device()
    head.to(device)
    schedule = Schedule(rate=5e-4, warmup_steps=50, weight_decay=0.1, average=0.99)
    trainer = Trainer([Group(dict(head.named_parameters()))], folder, schedule, seed=seed)
    trainer.run(bucket_loss(head, _on(speech, device)), budget)
    load_average(head, folder)
    head.cpu()
    return head


@torch.no_grad()
def mouth_correlation(reader: MouthReader, speech: Speech) -> list[float]:
    """Correlation of the read-out with the true track, per mouth channel."""
    rows = speech_rows(speech)[::2]
    heard = torch.cat([reader(hear(speech, part)) for part in rows.split(256)])
    true = torch.from_numpy(speech.tracks[rows, :NUM_MOUTH]).float()
    return [
        float(torch.corrcoef(torch.stack([heard[:, k], true[:, k]]))[0, 1])
        for k in range(NUM_MOUTH)
    ]


@torch.no_grad()
def bucket_correlation(head: AudioToBucket, speech: Speech) -> list[float]:
    """Correlation of a clip's mean prediction with its true amplitude: head, expression."""
    means = []
    for start, length in zip(speech.starts.tolist(), speech.lengths.tolist(), strict=True):
        rows = torch.arange(start, start + length, 8)
        means.append(
            head(hear_motion(speech, rows), torch.zeros(len(rows), CONTEXT_CHANNELS)).mean(0)
        )
    true = torch.from_numpy(speech.amplitudes)
    heard = torch.stack(means)
    return [float(torch.corrcoef(torch.stack([heard[:, k], true[:, k]]))[0, 1]) for k in range(2)]


@torch.no_grad()
def all_tokens(head: AudioToToken, speech: Speech) -> Tensor:
    """Audio tokens of every row, half precision, and of silence at last: rows + 1, 8, 64."""
    rows = speech_rows(speech)
    tokens = torch.zeros(
        len(speech.features) + 1, CONTEXT_TOKENS, CONTEXT_CHANNELS, dtype=torch.float16
    )
    for part in rows.split(512):
        tokens[part] = head(hear(speech, part)).half()
    config = head.config
    silence = torch.zeros(1, config.seq_len, config.blocks, config.channels)
    tokens[-1] = head(silence)[0].half()
    return tokens
