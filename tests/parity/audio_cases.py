"""The audio path against its golden values: file, samples, mel, hidden states, tokens, buckets."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import soundfile
import torch
from torch import Tensor
from transformers import (
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
    WhisperConfig,
    WhisperModel,
)

from sonic_ops.audio.resampling import decode_audio, read_samples
from sonic_ops.audio.whisper import encode_mel, log_mel
from sonic_ops.core.constants import (
    BUCKET_GAIN,
    BUCKET_OFFSET,
    CHUNK_SAMPLES,
    SAMPLES_PER_TICK,
    TICKS_PER_FRAME,
    TOKENS_PER_TICK,
)
from sonic_ops.core.timeline import cut_audio_chunks, num_frames_of
from sonic_ops.models.adapters import AudioToBucket, AudioToToken
from sonic_ops.sampling.conditioning import motion_spans, speech_spans
from tests.parity import recipe
from tests.parity.harness import Cases, Outcome, compare, same

AUDIO_TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class _Networks:
    whisper: WhisperModel
    clip: CLIPVisionModelWithProjection
    token: AudioToToken
    bucket: AudioToBucket


@torch.inference_mode()
def cases(folder: Cases) -> Iterator[Outcome]:
    described = folder.json("audio_path.json")
    if not described:
        return
    golden = folder.tensors("audio_path.safetensors")
    networks = _networks(folder)
    for case in described:
        yield from _case(case, golden, networks)


def _networks(folder: Cases) -> _Networks:
    configs = folder.configs
    clip = CLIPVisionModelWithProjection(CLIPVisionConfig(**configs["clip"]))
    networks = _Networks(
        whisper=WhisperModel(WhisperConfig(**configs["whisper"])),
        clip=clip,
        token=AudioToToken(**configs["audio2token"]),
        bucket=AudioToBucket(**configs["audio2bucket"]),
    )
    for name, network in (
        ("whisper", networks.whisper),
        ("clip", networks.clip),
        ("audio2token", networks.token),
        ("audio2bucket", networks.bucket),
    ):
        folder.fill(name, network)
    return networks


def _case(
    case: dict[str, Any], golden: dict[str, Tensor], networks: _Networks
) -> Iterator[Outcome]:
    name = case["name"]
    pcm = recipe.waveform_i16(case["seed"], case["n_samples"], case["sr"], case["channels"])
    yield same(name, "pcm", recipe.sha(pcm), case["pcm_sha256"])
    samples, num_samples = _decoded(pcm, case["sr"])
    ticks = min(case["limit"], num_samples // SAMPLES_PER_TICK)
    num_frames = ticks // TICKS_PER_FRAME
    yield same(name, "resampled length", num_samples, case["resampled_len"])
    yield same(name, "ticks", ticks, case["audio_len_25fps"])
    yield same(name, "frames", num_frames, case["num_frames"])
    if num_samples // SAMPLES_PER_TICK == ticks:
        yield same(name, "frames of the timeline", num_frames_of(num_samples), case["num_frames"])
    yield _compare(name, "peak", samples.abs().max(), torch.tensor(case["wav_absmax"]))
    for key, value in golden.items():
        if key.startswith(f"{name}.wav16k"):
            every = int(key.split("::")[1].rstrip("]"))
            yield _compare(name, "samples", samples[::every], value)

    pieces = list(cut_audio_chunks(num_samples, CHUNK_SAMPLES))
    mels = [log_mel(samples[piece.start : piece.stop].numpy()) for piece in pieces]
    mel_MT = torch.cat(mels, dim=1)
    yield same(name, "mel shape", [1, *mel_MT.shape], case["mel_shape"])
    yield _compare(name, "mel", mel_MT[:, case["mel_cols"]], golden[f"{name}.mel_cols"])
    means = torch.stack([mel.mean() for mel in mels])
    yield _compare(name, "mel means", means, torch.tensor(case["mel_mean_per_30s"]))
    hidden_LKD = torch.cat([encode_mel(networks.whisper.encoder, mel) for mel in mels])
    rows = hidden_LKD[case["hidden_rows"]]
    yield _compare(name, "hidden states", rows, golden[f"{name}.hidden_chunk0[rows]"])
    yield from _heads(case, golden, networks, hidden_LKD[: TOKENS_PER_TICK * ticks])


def _decoded(pcm: Any, rate: int) -> tuple[Tensor, int]:
    """Samples of a 16 bit file as `decode_audio` reads it."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "source.wav", Path(folder) / "decoded.wav"
        soundfile.write(source, pcm, rate, subtype="PCM_16")
        num_samples = decode_audio(str(source), target)
        return torch.from_numpy(read_samples(target, 0, num_samples)), num_samples


def _heads(
    case: dict[str, Any], golden: dict[str, Tensor], networks: _Networks, hidden_LKD: Tensor
) -> Iterator[Outcome]:
    name, num_frames = case["name"], case["num_frames"]

    def read(start: int, stop: int) -> Tensor:
        before, after = max(-start, 0), max(stop - len(hidden_LKD), 0)
        kept = hidden_LKD[max(start, 0) : stop]
        return torch.nn.functional.pad(kept, (0, 0, 0, 0, before, after))

    _, seed, key, shape = list(case["image_embeds_from"])
    pixels = torch.from_numpy(recipe.normal(seed, key, (1, *shape)))
    image_1E = networks.clip(pixels).image_embeds
    yield _compare(name, "image embedding", image_1E, golden[f"{name}.image_embeds"])

    spans = speech_spans(read, 0, num_frames)
    tokens = networks.token(spans[case["token_frames"]])
    yield _compare(name, "audio tokens", tokens, golden[f"{name}.audio_tokens"])
    silence = networks.token(torch.zeros_like(spans[:1]))[0]
    yield _compare(name, "tokens of no audio", silence, golden[f"{name}.uncond_token"])
    image_FE = image_1E.expand(num_frames, -1)
    raw_F2 = networks.bucket(motion_spans(read, 0, num_frames), image_FE)
    buckets = raw_F2 * BUCKET_GAIN + BUCKET_OFFSET
    yield _compare(name, "motion buckets", buckets, golden[f"{name}.motion_buckets"])


def _compare(case: str, quantity: str, ours: Tensor, golden: Tensor) -> Outcome:
    return compare(case, quantity, ours, golden, max_allowed=AUDIO_TOLERANCE)
