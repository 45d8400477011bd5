"""Settings that the machine decides, and what settings do to what is heard."""

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from cluster.video.jobs import VideoRequest
from sonic_ops.core import native
from sonic_ops.core.config import (
    AudioContext,
    MediaConfig,
    ModelsConfig,
    SamplingConfig,
)
from sonic_ops.core.constants import SAMPLE_RATE_HZ
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.settings import OLD_KEYS
from sonic_ops.sampling.conditioning import FrameCondition


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [("avx2 avx512f", "float32"), ("avx512_bf16", "bfloat16"), ("amx_bf16 avx2", "bfloat16")],
)
def test_auto_is_bfloat16_where_the_cpu_computes_in_it(
    flags: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = tmp_path / "cpuinfo"
    facts.write_text(f"model name\t: a CPU\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(native, "_CPU_FACTS", facts)
    assert ModelsConfig.model_validate({"weights": "there", "dtype": "auto"}).dtype == dtype


def test_auto_without_facts_is_float32(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "_CPU_FACTS", tmp_path / "none")
    assert ModelsConfig.model_validate({"weights": "there", "dtype": "auto"}).dtype == "float32"


def test_auto_on_a_gpu_is_bfloat16() -> None:
    given = {"weights": "there", "device": "cuda:1", "dtype": "auto"}
    assert ModelsConfig.model_validate(given).dtype == "bfloat16"


def test_an_unknown_precision_is_an_error() -> None:
    with pytest.raises(ValidationError, match="dtype"):
        ModelsConfig.model_validate({"weights": "there", "dtype": "float8"})


def test_constant_motion_buckets_stand_in_for_those_that_are_heard_and_are_scaled_like_them() -> (
    None
):
    heard = FrameCondition((0, 1), torch.zeros(2, 1, 1), torch.tensor([[4.0, 8.0], [6.0, 2.0]]))
    scaled = SamplingConfig(head_motion=2.0, expression=0.5)
    assert heard.moving(scaled).buckets_F2.tolist() == [[8, 4], [12, 1]]
    constant = scaled.model_copy(update={"motion_buckets": (16.0, 10.0)})
    assert heard.moving(constant).buckets_F2.tolist() == [[32, 5], [32, 5]]


@pytest.mark.parametrize(
    ("context", "starts_s"), [("blocks", [0, 6, 12]), ("overlapped", [0, 1, 2, 3, 4, 5, 6, 7, 8])]
)
def test_pieces_of_audio_are_as_long_as_asked_for(
    context: AudioContext, starts_s: list[int]
) -> None:
    request = VideoRequest("a.wav", "p", 14 * SAMPLE_RATE_HZ, "w", 0, 0, None, context, 6)
    spans = [(job.chunk.start, job.chunk.stop) for job in request.chunks]
    assert [start for start, _ in spans] == [SAMPLE_RATE_HZ * s for s in starts_s]
    assert max(stop - start for start, stop in spans) == 6 * SAMPLE_RATE_HZ
    assert spans[-1][1] == 14 * SAMPLE_RATE_HZ


def test_pieces_that_overlap_must_be_longer_than_the_overlap() -> None:
    assert VideoConfig(audio_context="blocks", audio_chunk_s=5).audio_chunk_s == 5
    with pytest.raises(ValidationError, match="audio_chunk_s must be 7 or more"):
        VideoConfig(audio_context="overlapped", audio_chunk_s=6)


def test_keys_of_version_0_1_work_and_print_their_new_names(
    caplog: pytest.LogCaptureFixture,
) -> None:
    old = {"around": "reference", "edges": "wrap", "reuse_every": 2}
    new = {"latent_origin": "reference", "padding_mode": "circular", "cache_interval": 2}
    assert SamplingConfig.model_validate(old) == SamplingConfig.model_validate(new)
    for key, now in OLD_KEYS.items():
        if now in new:
            assert f"`{key}` is now called `{now}`" in caplog.text
    assert MediaConfig.model_validate({"hold_colour": True}).colour_correction
    with pytest.raises(ValidationError, match="edges"):  # a key of another section stays unknown
        MediaConfig.model_validate({"edges": "wrap"})
