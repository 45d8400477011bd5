"""A calibration measures every cost, with real networks of the smallest size."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from cluster.config import ClusterConfig
from flows.planning.calibrate import calibrate
from flows.planning.calibration import calibration_path
from flows.planning.estimate import Sizes, estimate_row
from flows.planning.trial import Round, write_inputs
from flows.rows.config import RenderConfig
from flows.rows.plan import plan_row
from sonic_ops.core.config import MediaConfig
from sonic_ops.core.errors import ConfigError
from sonic_ops.core.formats import CODECS
from tests.tiny import make_tiny_weights

SIDE = 64


@pytest.fixture
def config(tmp_path: Path) -> RenderConfig:
    return RenderConfig.model_validate(
        {
            "models": {"weights": str(make_tiny_weights(tmp_path / "weights"))},
            "portrait": {"resolution": SIDE},
            "sampling": {"window_frames": 6, "shift_frames": 2},
            "decoding": {"chunk_frames": 4, "context_frames": 1},
            "media": {"speed": "ultrafast"},
            "segment_frames": 8,
            "cluster": {"workers": 0},
        }
    )


@pytest.mark.flow
def test_everything_is_measured(config: RenderConfig) -> None:
    said: list[str] = []
    speech = json.loads((Path(config.models.weights) / "speech_encoder/config.json").read_text())
    token_bytes = (speech["encoder_layers"] + 1) * speech["d_model"] * 4
    found = calibrate(config, said.append, budget_s=0)
    costs = found.costs
    assert found.is_measured
    assert found.start_s == found.alone_start_s > 0
    assert costs.pixels == SIDE * SIDE
    assert set(costs.encode_s) == set(CODECS)
    assert min(costs.encode_s.values()) > 0
    others = [name for name in costs.__slots__ if name.endswith("_s") and name != "encode_s"]
    assert all(getattr(costs, name) > 0 for name in others)
    assert set(found.peak_bytes) == {"encode audio", "denoise", "decode", "encode"}
    assert min(found.peak_bytes.values()) >= found.kept_bytes > 0
    assert found.work_token_bytes == pytest.approx(token_bytes, rel=0.1)
    assert found.work_frame_bytes > 0
    plan = plan_row(1, config.sampling)
    estimate = estimate_row(plan, config, Sizes(SIDE * SIDE, SIDE * SIDE), found)
    assert 0 < estimate.worker_s < 600
    assert any("1 rounds of 1 videos" in line for line in said)


@pytest.mark.flow
@pytest.mark.slow
def test_a_preset_with_another_rate_and_codec_is_measured(config: RenderConfig) -> None:
    media = MediaConfig(speed="ultrafast", fps=Fraction(24_000, 1001), codec="prores")
    config = config.model_copy(update={"media": media})
    assert calibrate(config, lambda _: None, budget_s=0).is_measured


@pytest.mark.flow
@pytest.mark.ray
@pytest.mark.slow
def test_a_start_without_ray_is_measured_too(config: RenderConfig) -> None:
    found = calibrate(config.model_copy(update={"cluster": ClusterConfig()}), print, budget_s=0)
    assert 0 < found.alone_start_s < found.start_s


def test_no_two_rows_share_a_portrait_that_a_worker_has_encoded(tmp_path: Path) -> None:
    audio, pictures = tmp_path / "voice.wav", [tmp_path / "1.png", tmp_path / "2.png"]
    for order, picture in enumerate(pictures):
        write_inputs(audio, picture, Round(1, 2), order)
    with Image.open(pictures[0]) as first, Image.open(pictures[1]) as second:
        assert first.tobytes() != second.tobytes()


def joined(config: RenderConfig, address: str) -> RenderConfig:
    """The configuration with a cluster that is there already."""
    cluster = ClusterConfig(address=address, worker_timeout_s=300)
    return config.model_copy(update={"cluster": cluster})


def test_a_cluster_that_is_joined_needs_a_folder_that_its_nodes_see(config: RenderConfig) -> None:
    with pytest.raises(ConfigError, match="do not see this machine") as caught:
        calibrate(joined(config, "127.0.0.1:6379"), lambda _: None)
    assert "--work URL" in caught.value.remedy


@pytest.mark.flow
@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_that_is_joined_is_measured(config: RenderConfig, tmp_path: Path) -> None:
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    said: list[str] = []
    try:
        on_it = joined(config, cluster.address)
        found = calibrate(on_it, said.append, budget_s=0, work=str(tmp_path / "shared"))
    finally:
        cluster.shutdown()
    assert found.is_measured
    assert found.machine == f"the cluster at {on_it.cluster.address}"
    assert min(found.peak_bytes.values()) >= found.kept_bytes > 50e6
    assert not list((tmp_path / "shared").iterdir())
    assert any(line.startswith("a worker held up to") for line in said)


def test_a_cluster_has_a_calibration_of_its_own(config: RenderConfig) -> None:
    paths = {
        calibration_path(each)
        for each in (config, joined(config, "a:6379"), joined(config, "b:6379"))
    }
    assert len(paths) == 3
