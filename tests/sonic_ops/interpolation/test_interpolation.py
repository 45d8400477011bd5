"""Frames between frames, and which output frame is which."""

import json
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from sonic_ops.core.errors import ConfigError
from sonic_ops.core.timeline import cut_segments, num_output_frames_of
from sonic_ops.interpolation.flow import Interpolator, frames_between, output_frames
from sonic_ops.interpolation.rife import FlowNet, load_flownet, warp

INVENTORY = Path(__file__).parents[2] / "golden" / "inventory" / "rife_flownet_keys.json"


@pytest.fixture(scope="module")
def flownet() -> FlowNet:
    return load_flownet()


@pytest.fixture(params=["flow", "dis"])
def interpolator(request: pytest.FixtureRequest, flownet: FlowNet) -> Interpolator:
    """Each of the two that follow motion."""
    return flownet if request.param == "flow" else "dis"


def square_at(left: int, top: int, width: int = 96, height: int = 64) -> Tensor:
    """A textured square on a soft background, C H W in [0, 1]."""
    background = torch.linspace(0.1, 0.3, width).expand(3, height, width).clone()
    texture = torch.linspace(0.6, 1.0, 20)[:, None] * torch.linspace(0.8, 1.0, 20)
    background[:, top : top + 20, left : left + 20] = texture
    return background


def midpoint(flownet: FlowNet, a_CHW: Tensor, b_CHW: Tensor) -> Tensor:
    (middle,) = frames_between(flownet, a_CHW, b_CHW, [0.5])
    return middle


def centre_of_light(frame_CHW: Tensor) -> tuple[float, float]:
    light_HW = (frame_CHW.mean(dim=0) - 0.35).clamp(min=0)
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in light_HW.shape), indexing="ij")
    total = light_HW.sum()
    return float((columns * light_HW).sum() / total), float((rows * light_HW).sum() / total)


def test_keys_and_shapes_are_those_of_the_released_network() -> None:
    shapes = {key: list(value.shape) for key, value in FlowNet().state_dict().items()}
    assert shapes == json.loads(INVENTORY.read_text())


@pytest.mark.parametrize(("dx", "dy"), [(8, 0), (-6, 4), (0, 10)])
def test_a_moving_square_is_half_way_in_the_middle(flownet: FlowNet, dx: int, dy: int) -> None:
    a, b = square_at(30, 16), square_at(30 + dx, 16 + dy)
    middle = midpoint(flownet, a, b)
    (x0, y0), (x1, y1), (x, y) = (centre_of_light(frame) for frame in (a, b, middle))
    assert x == pytest.approx((x0 + x1) / 2, abs=0.5)
    assert y == pytest.approx((y0 + y1) / 2, abs=0.5)
    half_way = square_at(30 + dx // 2, 16 + dy // 2)
    assert (middle - half_way).abs().mean() < 0.5 * ((a + b) / 2 - half_way).abs().mean()


def test_a_moving_square_is_where_it_is_at_any_instant(flownet: FlowNet) -> None:
    a, b = square_at(30, 16), square_at(38, 20)
    instants = [1 / 48, 1 / 12, 0.25, 0.5, 0.8, 47 / 48]
    for instant, seen in zip(instants, frames_between(flownet, a, b, instants), strict=True):
        (x0, y0), (x1, y1), (x, y) = (centre_of_light(frame) for frame in (a, b, seen))
        assert x == pytest.approx(x0 + instant * (x1 - x0), abs=0.5)
        assert y == pytest.approx(y0 + instant * (y1 - y0), abs=0.5)


def test_an_instant_is_as_far_from_one_frame_as_from_the_other_turned(flownet: FlowNet) -> None:
    a, b = square_at(30, 16), square_at(36, 18)
    (early,), (late,) = frames_between(flownet, a, b, [0.2]), frames_between(flownet, b, a, [0.8])
    assert torch.allclose(early, late, atol=1e-5)


def test_the_middle_of_equal_frames_is_the_frame(flownet: FlowNet) -> None:
    frame = square_at(30, 16)
    assert (midpoint(flownet, frame, frame) - frame).abs().max() < 0.02


def test_the_order_of_the_pair_does_not_matter(flownet: FlowNet) -> None:
    a, b = square_at(30, 16), square_at(36, 18)
    assert torch.allclose(midpoint(flownet, a, b), midpoint(flownet, b, a), atol=1e-5)


def test_sizes_that_are_no_multiple_of_32_are_padded_and_cut(flownet: FlowNet) -> None:
    a, b = square_at(10, 10, 50, 70), square_at(14, 10, 50, 70)
    middle = midpoint(flownet, a, b)
    assert middle.shape == (3, 70, 50)
    assert middle.min() >= 0
    assert middle.max() <= 1


def test_a_flow_fetches_from_where_it_points() -> None:
    image = torch.arange(12.0).reshape(1, 1, 3, 4)
    flow = torch.zeros(1, 2, 3, 4)
    flow[:, 0] = 1
    right = warp(image, flow)
    assert torch.allclose(right[..., :-1], image[..., 1:], atol=1e-5)
    assert torch.allclose(right[..., -1], image[..., -1], atol=1e-5)
    assert torch.allclose(
        warp(image, -torch.flip(flow, [1]))[0, 0, 1:], image[0, 0, :-1], atol=1e-5
    )


def as_picture(frame_CHW: Tensor) -> NDArray[np.uint8]:
    return np.asarray(frame_CHW.permute(1, 2, 0).numpy() * 255, np.uint8)


def pictures(num_frames: int) -> NDArray[np.uint8]:
    return np.stack([as_picture(square_at(20 + 4 * index, 16)) for index in range(num_frames)])


def test_even_output_frames_are_frames_and_the_last_one_is_held(interpolator: Interpolator) -> None:
    frames = pictures(3)
    shown = list(output_frames(interpolator, frames, 10, range(20, 28)))
    assert len(shown) == 8
    for index in range(3):
        assert np.array_equal(shown[2 * index], frames[index])
    assert all(np.array_equal(picture, frames[2]) for picture in shown[4:])
    assert not np.array_equal(shown[1], frames[0])
    assert not np.array_equal(shown[1], frames[1])
    assert all(picture.dtype == np.uint8 for picture in shown)


def test_segments_with_one_more_frame_give_the_output_frames_of_the_whole(
    interpolator: Interpolator,
) -> None:
    frames = pictures(5)
    whole = list(output_frames(interpolator, frames, 0, range(10)))
    first = list(output_frames(interpolator, frames[:3], 0, range(4)))  # frames 0, 1 and the halo 2
    second = list(output_frames(interpolator, frames[2:], 2, range(4, 10)))
    for a, b in zip(whole, first + second, strict=True):
        assert np.array_equal(a, b)


LESS_USUAL = ("24", "25", "30", "60", "120")


@pytest.mark.parametrize(
    "rate",
    ["24000/1001", "50", *(pytest.param(rate, marks=pytest.mark.slow) for rate in LESS_USUAL)],
)
def test_any_rate_and_any_cut_give_the_frames_of_their_moments(
    interpolator: Interpolator, rate: str
) -> None:
    frames, fps = pictures(4), Fraction(rate)
    num_output_frames = num_output_frames_of(4 * 1280, fps)
    whole = list(output_frames(interpolator, frames, 0, range(num_output_frames), fps))
    for n, picture in enumerate(whole):
        seen = torch.from_numpy(picture).permute(2, 0, 1) / 255
        moment = min(float(n * Fraction(25, 2) / fps), 3)
        assert centre_of_light(seen)[0] == pytest.approx(
            centre_of_light(square_at(20, 16))[0] + 4 * moment, abs=0.6
        )
    cut = []
    for segment in cut_segments(4, 1):
        span = segment.output_frames(4, num_output_frames, fps)
        own = frames[segment.start : segment.stop + 1]  # and the first of the next segment
        cut += list(output_frames(interpolator, own, segment.start, span, fps))
    assert all(np.array_equal(a, b) for a, b in zip(whole, cut, strict=True))


def test_released_keys_with_a_prefix_are_taken_and_others_refused(tmp_path: Path) -> None:
    torch.manual_seed(0)
    weights = {f"module.{key}": value for key, value in FlowNet().state_dict().items()}
    save_file(weights, tmp_path / "flownet.safetensors")
    loaded = load_flownet(tmp_path).state_dict()
    assert all(torch.equal(loaded[key.removeprefix("module.")], weights[key]) for key in weights)
    weights.popitem()
    save_file(weights, tmp_path / "flownet.safetensors")
    with pytest.raises(ConfigError, match=r"RIFE 3\.8"):
        load_flownet(tmp_path)


def test_a_folder_without_a_flow_network_uses_the_packaged_one(tmp_path: Path) -> None:
    packaged, found = load_flownet().state_dict(), load_flownet(tmp_path / "rife").state_dict()
    assert all(torch.equal(packaged[key], found[key]) for key in packaged)


def test_bfloat16_shows_in_no_image(flownet: FlowNet) -> None:
    a, b = square_at(30, 16), square_at(36, 20)
    coarse = load_flownet().bfloat16()
    difference = midpoint(coarse, a, b) - midpoint(flownet, a, b)
    assert -10 * torch.log10(difference.square().mean()) > 55


def test_pairs_that_go_together_are_as_if_alone(flownet: FlowNet) -> None:
    frames = pictures(6)
    together = list(output_frames(flownet, frames, 0, range(10)))
    for n in range(5):
        alone = list(output_frames(flownet, frames[n : n + 2], n, range(2 * n, 2 * n + 2)))
        assert np.array_equal(together[2 * n : 2 * n + 2], alone)


def test_a_blend_shows_both_frames_by_their_distance() -> None:
    frames = np.array([0, 100, 201], np.uint8)[:, None, None, None].repeat(3, axis=3)
    shown = [
        int(picture.max()) for picture in output_frames("blend", frames, 0, range(8), Fraction(50))
    ]
    assert shown == [0, 25, 50, 75, 100, 125, 150, 176]


@pytest.mark.parametrize(("dx", "dy"), [(8, 0), (-6, 4), (0, 10)])
def test_search_moves_a_square_half_way_and_nearer_than_a_blend(dx: int, dy: int) -> None:
    pair = [square_at(30, 16), square_at(30 + dx, 16 + dy)]
    half_way = as_picture(square_at(30 + dx // 2, 16 + dy // 2)).astype(float)
    frames = np.stack([as_picture(frame) for frame in pair])
    errors = {
        kind: np.abs(next(output_frames(kind, frames, 0, range(1, 2))) - half_way).mean()
        for kind in ("dis", "blend")
    }
    assert errors["dis"] < 0.4 * errors["blend"]


def test_search_leaves_equal_frames_alone_and_lays_a_cut_over() -> None:
    shown, other = pictures(1)[0], 255 - pictures(1)[0]
    equal, cut = np.stack([shown, shown]), np.stack([shown, other])
    assert np.array_equal(next(output_frames("dis", equal, 0, range(1, 2))), shown)
    blended, searched = (next(output_frames(k, cut, 0, range(1, 2))) for k in ("blend", "dis"))
    assert np.abs(searched.astype(int) - blended).mean() < 1


def test_search_does_not_depend_on_threads() -> None:
    frames = np.stack([np.kron(picture, np.ones((4, 4, 1), np.uint8)) for picture in pictures(2)])
    threads, made = cv2.getNumThreads(), []
    try:
        for count in (1, 2, 3):
            cv2.setNumThreads(count)
            made.append(next(output_frames("dis", frames, 0, range(1, 2))))
    finally:
        cv2.setNumThreads(threads)
    assert all(np.array_equal(picture, made[0]) for picture in made)
