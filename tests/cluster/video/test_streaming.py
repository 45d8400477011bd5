"""What is encoded while the rest is denoised: the same bits, earlier."""

from pathlib import Path

import pytest

from cluster.pool.base import Pool
from cluster.video.jobs import VideoRequest
from cluster.video.render import denoise_video, encode_video, split_video, stream_video
from sonic_ops.core.config import DecodingConfig
from sonic_ops.core.errors import RenderError
from sonic_ops.core.presets import VideoConfig
from sonic_ops.core.timeline import PaddingMode
from tests.cluster.conftest import Prepare
from tests.cluster.video.test_checkpoints import VIDEO, StoppedError, Watched
from tests.cluster.video.test_exact import quiet

NUM_FRAMES, SEGMENT_FRAMES, DENOISED_FRAMES = 33, 8, 3

DECODING = DecodingConfig(chunk_frames=4, context_frames=1)


def config_of(padding_mode: PaddingMode) -> VideoConfig:
    sampling = VIDEO.sampling.model_copy(update={"padding_mode": padding_mode})
    update = {"sampling": sampling, "segment_frames": SEGMENT_FRAMES, "decoding": DECODING}
    return VIDEO.model_copy(update=update)


def contents(files: list[str]) -> list[bytes]:
    return [Path(file).read_bytes() for file in files]


def in_stages(pool: Pool, request: VideoRequest, config: VideoConfig) -> list[bytes]:
    denoise_video(pool, request, config, quiet)
    return contents(encode_video(pool, request, config, quiet))


def streamed(pool: Pool, request: VideoRequest, config: VideoConfig) -> list[str]:
    cut = config.model_copy(update={"segment_frames": DENOISED_FRAMES})
    segments, files = split_video(pool, request, cut), list[str]()
    stream_video(pool, request, config, quiet, segments, files.append)
    return files


@pytest.mark.parametrize("padding_mode", ["reflect", "circular"])
def test_it_gives_the_bits_of_one_stage_after_the_other(
    padding_mode: PaddingMode, tmp_path: Path, prepare: Prepare, local_pool: Pool
) -> None:
    config = config_of(padding_mode)
    expected = in_stages(local_pool, prepare(NUM_FRAMES, tmp_path / "stages"), config)
    request = prepare(NUM_FRAMES, tmp_path / "streamed")
    files = streamed(local_pool, request, config)
    assert contents(files) == expected
    assert files == encode_video(local_pool, request, config, quiet)


@pytest.mark.ray
def test_ray_gives_the_bits_of_this_process(
    tmp_path: Path, prepare: Prepare, local_pool: Pool, ray_pool: Pool
) -> None:
    config = config_of("reflect")
    here = in_stages(local_pool, prepare(NUM_FRAMES, tmp_path / "here"), config)
    assert contents(streamed(ray_pool, prepare(NUM_FRAMES, tmp_path / "there"), config)) == here


def test_the_beginning_is_encoded_before_the_end_is_denoised(
    tmp_path: Path, prepare: Prepare, local_pool: Pool
) -> None:
    config, order = config_of("reflect"), list[str]()

    class Ordered(Watched):
        def submit(self, method, *arguments, **options):  # type: ignore[no-untyped-def]
            order.append(method)
            return super().submit(method, *arguments, **options)

    streamed(Ordered(local_pool), prepare(2 * NUM_FRAMES, tmp_path), config)
    first = order.index("encode")
    assert order[:first].count("denoise") <= 0.6 * order.count("denoise")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_stopped_and_begun_again_it_hands_on_all_in_order(
    share: float, tmp_path: Path, prepare: Prepare, local_pool: Pool
) -> None:
    config = config_of("reflect")
    whole = Watched(local_pool)
    expected = contents(streamed(whole, prepare(NUM_FRAMES, tmp_path / "whole"), config))
    request = prepare(NUM_FRAMES, tmp_path / "stopped")
    lives = int(share * whole.jobs["denoise"])
    with pytest.raises(StoppedError):
        streamed(Watched(local_pool, "denoise", lives), request, config)
    assert contents(streamed(local_pool, request, config)) == expected


def test_what_cannot_be_handed_on_ends_it(
    tmp_path: Path, prepare: Prepare, local_pool: Pool
) -> None:
    config, seen = config_of("reflect"), list[str]()

    def full(file: str) -> None:
        seen.append(file)
        raise RenderError("no space is left", remedy="Free some.")

    request = prepare(NUM_FRAMES, tmp_path)
    segments = split_video(local_pool, request, config)
    with pytest.raises(RenderError, match="no space"):
        stream_video(local_pool, request, config, quiet, segments, full)
    assert len(seen) == 1
