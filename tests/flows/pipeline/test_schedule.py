"""Which manifests a night takes; that it renders them is tested with a server, in `tests/ui`."""

import json
from pathlib import Path

import pytest
import yaml

from flows.pipeline.artifacts import key_of
from flows.pipeline.schedule import new_manifests
from flows.state.results import PREVIEWS_ENDING, RESULTS_ENDING, results_address
from tests.flows.conftest import REPOSITORY


def names(folder: Path) -> list[str]:
    return [Path(manifest).name for manifest in new_manifests(str(folder))]


def test_manifests_are_taken_in_order_and_what_lies_beside_them_is_not(tmp_path: Path) -> None:
    for name in (
        "b.csv",
        "a.parquet",
        "c.JSONL",
        "notes.txt",
        "a.measures.parquet",
        "a.preview-measures.parquet",
    ):
        (tmp_path / name).write_text("x")
    for ending in (RESULTS_ENDING, PREVIEWS_ENDING):
        Path(results_address(str(tmp_path / "a.parquet"), None, ending=ending)).write_text("x")
    assert names(tmp_path) == ["a.parquet", "b.csv", "c.JSONL"]
    assert names(tmp_path / "nowhere") == []


def test_a_manifest_that_was_taken_is_new_again_when_it_has_changed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x")
    note = tmp_path / ".sonic" / "taken" / "a.csv.json"
    note.parent.mkdir(parents=True)
    digest = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"  # of an x
    note.write_text(json.dumps({"sha256": digest}))
    assert names(tmp_path) == []
    (tmp_path / "a.csv").write_text("y")
    assert names(tmp_path) == ["a.csv"]
    note.write_text("damaged")
    assert names(tmp_path) == ["a.csv"]


@pytest.mark.parametrize(
    ("manifest", "key"),
    [("/a/Lectures 2.csv", "rows-lectures-2-csv"), ("s3://b/ü_x.parquet", "rows-x-parquet")],
)
def test_keys_of_artifacts_are_what_prefect_takes(manifest: str, key: str) -> None:
    assert key_of("rows", manifest) == key


def test_what_is_deployed_is_there() -> None:
    deployed = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())["deployments"]
    assert [each["name"] for each in deployed] == ["render", "nightly-dubbing"]
    for each in deployed:
        path, _, function = each["entrypoint"].partition(":")
        assert f"def {function}(" in (REPOSITORY / path).read_text()
