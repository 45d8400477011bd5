"""The encoder of the GPU: taken where it is there and asked for, and a sentence where it is not."""

from pathlib import Path

import pytest

from flows.rows.config import load_preset
from sonic_ops.core.config import MediaConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.media.encoding import (
    ENCODERS,
    NVENC_ENCODERS,
    EncodeSettings,
    encode_frames,
    options_of,
    settings_of,
)
from sonic_ops.media.inspection import probe_video
from sonic_ops.media.nvenc import can_open, has_nvenc
from tests.sonic_ops.media.test_finishing import pictures


def preset(folder: Path, encoder: str, more: str = "") -> str:
    path = folder / f"{encoder}.yaml"
    path.write_text(f"models: {{weights: w}}\nmedia: {{encoder: {encoder}}}\n{more}")
    return str(path)


def test_who_asks_for_nothing_gets_the_bits_of_the_cpu(tmp_path: Path) -> None:
    assert settings_of(MediaConfig()).encoder == ENCODERS["h264"]
    encode_frames(pictures(3), tmp_path / "a.mp4", settings_of(MediaConfig()))
    encode_frames(pictures(3), tmp_path / "b.mp4", EncodeSettings())
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_auto_is_what_this_machine_has(tmp_path: Path) -> None:
    found = load_preset(preset(tmp_path, "auto")).media.encoder
    assert found == ("nvenc" if has_nvenc() else "cpu")
    assert load_preset("sketch").media.encoder == "cpu"


def test_an_encoder_that_this_ffmpeg_does_not_know_is_none() -> None:
    assert can_open("libx264")
    assert not can_open("h264_of_nobody")


def test_codecs_that_the_gpu_has_not_stay_on_the_cpu() -> None:
    for codec, encoder in ENCODERS.items():
        settings = EncodeSettings(codec, nvenc=True)
        assert settings.encoder == NVENC_ENCODERS.get(codec, encoder)


def test_crf_is_said_to_be_what_nvenc_takes_it_for() -> None:
    options = options_of(EncodeSettings(crf=23, nvenc=True), 50)
    assert (options["rc"], options["cq"]) == ("vbr", "23")
    said = MediaConfig.model_fields["crf"].description or ""
    assert "`nvenc` takes the number as its `cq`, another scale" in said


def test_nvenc_is_used_or_missed_in_a_sentence(tmp_path: Path) -> None:
    asked, target = EncodeSettings(nvenc=True), tmp_path / "a.mp4"
    if has_nvenc():
        encode_frames(pictures(9), target, asked)
        assert probe_video(target).num_frames == 9
        return
    with pytest.raises(ConfigError, match=r"no encoder of NVENC can be opened") as caught:
        encode_frames(pictures(9), target, asked)
    assert "media.encoder to cpu or auto" in caught.value.remedy
    assert not target.exists()
    with pytest.raises(ConfigError, match=r"media\.encoder is nvenc"):
        load_preset(preset(tmp_path, "nvenc"))
    elsewhere = preset(tmp_path, "nvenc", "cluster: {address: auto}")
    assert load_preset(elsewhere).media.encoder == "nvenc"  # its workers know, and say it
