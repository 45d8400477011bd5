"""Which manifests a night takes; that it renders them is tested with a server, in `tests/ui`."""

from pathlib import Path

import pytest
import yaml

from flows.pipeline.artifacts import key_of
from flows.pipeline.schedule import manifests_in
from flows.state.results import PREVIEWS_ENDING, RESULTS_ENDING, results_url
from sonic_ops.core.errors import ManifestError
from tests.flows.conftest import REPOSITORY


def names(folder: Path) -> list[str]:
    return [Path(manifest).name for manifest in manifests_in(str(folder))]


def test_manifests_are_taken_in_order_and_what_lies_beside_them_is_not(tmp_path: Path) -> None:
    for name in (
        "b.csv",
        "a.parquet",
        "c.JSONL",
        "d.xlsx",
        "e.csv.gz",
        "~$d.xlsx",
        ".hidden.csv",
        "notes.txt",
        "a.measures.parquet",
        "a.preview-measures.parquet",
    ):
        (tmp_path / name).write_text("x")
    for ending in (RESULTS_ENDING, PREVIEWS_ENDING):
        Path(results_url(str(tmp_path / "a.parquet"), None, ending=ending)).write_text("x")
    assert names(tmp_path) == ["a.parquet", "b.csv", "c.JSONL", "d.xlsx", "e.csv.gz"]


@pytest.mark.parametrize("folder", ["/no/where", "memory://nowhere/at/all"])
def test_a_folder_that_is_not_there_fails_the_night(folder: str) -> None:
    with pytest.raises(ManifestError, match="There is no folder"):
        list(manifests_in(folder))


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
