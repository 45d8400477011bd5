"""Facts of SyncNet's figures in a report: asked once, and added to what is known."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from flows.report.analysis_cache import cache_path
from flows.report.writing import write_report
from flows.state.results import measures_url
from sonic_ops.core.errors import ConfigError
from tests.flows.report.reporting import done, write_table
from tests.syncnet import make_speaker, readable_weights, save_weights

FIGURES = ("syncnet_confidence", "syncnet_distance", "syncnet_offset_ms")
MARK = 0.123
"""A lip sync that no video of these tests has: it shows that an analysis was cached."""


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_weights(tmp_path_factory.mktemp("weights") / "syncnet_v2.model"))


class Kept:
    """A row whose video has been looked at without SyncNet, and marked."""

    def __init__(self, folder: Path) -> None:
        video = make_speaker(folder / "video.mp4", 50, late=2)
        self.analysis = Path(cache_path(str(video)))
        self.results = write_table(folder, [done(1, video)])

    def report(self, syncnet: str | None = None) -> dict[str, dict[str, Any]]:
        """The figures of the whole video, by what they are of."""
        self.page = Path(write_report(self.results, print, syncnet)).read_text("utf-8")
        lines = pq.read_table(measures_url(self.results)).to_pylist()
        assert [line["is_whole"] for line in lines] == [True, False, True, True]
        self.part = lines[1]
        return {line["of"]: line for line in lines if line["is_whole"]}

    def mark(self, *removed: str) -> None:
        """Mark the cached analysis, and remove fields that older ones do not have."""
        content = json.loads(self.analysis.read_text())
        content["analysis"]["measures"]["lip_sync"] = MARK
        places = [
            content["analysis"],
            *(content["analysis"][n] for n in ("measures", "still", "shuffled")),
        ]
        for place in (*places, *(part["measures"] for part in content["analysis"]["parts"])):
            for name in removed:
                place.pop(name, None)
        self.analysis.write_text(json.dumps(content))


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path)


def test_without_weights_there_is_nothing_of_it(kept: Kept) -> None:
    lines = kept.report()
    assert [lines["video"][name] for name in FIGURES] == [None] * 3
    assert "<dt>SyncNet confidence</dt>" not in kept.page
    assert "Only with weights of SyncNet." in kept.page


def test_with_weights_they_are_added_and_nothing_is_measured_twice(
    kept: Kept, weights: str, tmp_path: Path
) -> None:
    kept.report()
    kept.mark("syncnet", *FIGURES)  # as versions before SyncNet have left it
    lines = kept.report(weights)
    assert lines["video"]["lip_sync"] == MARK
    assert lines["video"]["syncnet_offset_ms"] == 80
    assert kept.part["syncnet_distance"] == lines["video"]["syncnet_distance"] > 0
    for baseline in ("still", "shuffled"):
        assert lines[baseline]["syncnet_confidence"] < lines["video"]["syncnet_confidence"]
    assert "<dt>SyncNet confidence</dt>" in kept.page
    at_s = kept.analysis.stat().st_mtime_ns
    assert kept.report(weights) == lines
    assert kept.report() == lines
    assert kept.analysis.stat().st_mtime_ns == at_s


@pytest.mark.slow
def test_other_weights_are_asked_again(kept: Kept, weights: str, tmp_path: Path) -> None:
    first = kept.report(weights)
    kept.mark()
    other = readable_weights()
    other["netfclip.3.bias"][1] = 3.0
    second = kept.report(str(save_weights(tmp_path / "other.model", other)))
    assert second["video"]["lip_sync"] == MARK
    assert second["video"]["syncnet_distance"] > first["video"]["syncnet_distance"] + 1


def test_wrong_weights_are_said_before_anything_is_measured(kept: Kept, tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "wrong.model")
    with pytest.raises(ConfigError, match="are not the weights of SyncNet"):
        kept.report(str(tmp_path / "wrong.model"))
    assert not kept.analysis.exists()
