"""A preview is a row of its own: short, in few steps, and in nobody's way."""

from dataclasses import replace
from pathlib import Path

import pytest

from cluster.pool.costs import RowCosts
from flows.preflight.checks import Outcome
from flows.preflight.previews import check_previews, preview_of, preview_url
from flows.rows.config import RenderConfig
from flows.rows.planned import PlannedRow
from flows.rows.rows import BadRow
from flows.state.receipts import announce, write_owner, write_receipt
from flows.state.results import RowResult, rejected
from flows.state.row_store import RowStore
from tests.flows.conftest import Cells, WriteManifest, sorted_rows

SECONDS, STEPS = 0.8, 4


@pytest.fixture
def config() -> RenderConfig:
    preview = {"seconds": SECONDS, "steps": STEPS}
    return RenderConfig.model_validate({"models": {"weights": "none"}, "preview": preview})


@pytest.fixture
def planned(config: RenderConfig, good: Cells, write_manifest: WriteManifest) -> PlannedRow:
    return sorted_rows(write_manifest(good), config).planned[0]


def previews_of(manifest: str, config: RenderConfig) -> list[Outcome]:
    found, store = sorted_rows(manifest, config), RowStore()
    for planned in found.planned:
        store.plan(planned)
    for bad in found.bad:
        store.record(rejected(bad))
    return list(check_previews(store, config.for_previews(), "w"))


def problems_of(manifest: str, config: RenderConfig) -> list[str]:
    (row,) = previews_of(manifest, config)
    assert isinstance(row, BadRow)
    assert row.id == "good (preview)"
    return [error.message for error in row.errors]


@pytest.mark.parametrize(
    ("url", "preview"),
    [
        ("/out/a.b.mp4", "/out/a.b.preview.mp4"),
        ("/a.gif", "/a.preview.gif"),
        ("s3://bucket/a.webm", "s3://bucket/a.preview.webm"),
    ],
)
def test_a_preview_lies_beside_the_video(url: str, preview: str) -> None:
    assert preview_url(url) == preview


def test_a_preview_is_the_first_seconds_of_its_row_in_few_steps(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest, planned: PlannedRow
) -> None:
    manifest = write_manifest(good | {"start": 1.0})
    (row,) = sorted_rows(manifest, config).planned
    (preview,) = previews_of(manifest, config)
    assert isinstance(preview, PlannedRow)
    assert (preview.row.start, preview.row.end) == (1.0, 1.0 + SECONDS)
    assert (preview.plan.num_steps, preview.plan.video_s) == (STEPS, SECONDS)
    assert preview.row.portrait == row.row.portrait
    assert preview.row.output == row.row.output.replace(".mp4", ".preview.mp4")
    assert preview.fingerprint != row.fingerprint
    assert preview.work != row.work


def test_a_row_that_is_no_longer_than_its_preview_is_seen_whole(planned: PlannedRow) -> None:
    video_s = planned.plan.video_s
    assert preview_of(planned, video_s).end is None
    assert preview_of(planned, video_s - 0.5).end == video_s - 0.5


def test_what_makes_previews_does_not_show_in_the_video(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest, planned: PlannedRow
) -> None:
    other = config.model_copy(update={"preview": config.preview.model_copy(update={"steps": 1})})
    assert sorted_rows(write_manifest(good), other).planned[0].fingerprint == planned.fingerprint


@pytest.mark.parametrize(
    ("steps", "strength", "num_steps", "num_run"),
    [(25, 1.0, 4, 4), (3, 1.0, 3, 3), (25, 0.1, 10, 1), (60, 1 / 49, 50, 1)],
)
def test_few_steps_are_no_more_than_all_and_at_least_one_is_run(
    config: RenderConfig, steps: int, strength: float, num_steps: int, num_run: int
) -> None:
    update = {"steps": steps, "strength": strength}
    sampling = config.sampling.model_copy(update=update)
    few = config.model_copy(update={"sampling": sampling}).for_previews().sampling
    assert (few.steps, few.num_run) == (num_steps, num_run)


def test_no_file_is_replaced_that_a_row_writes(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    taken = preview_url(str(good["output"]))
    bad = {"id": "b", "audio": "no.wav", "output": taken}
    assert problems_of(write_manifest(good, good | bad), config) == [
        f"{taken} is already the output of row number 2"
    ]


def test_no_file_is_replaced_that_was_there_before(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(good)
    (preview,) = previews_of(manifest, config)
    assert isinstance(preview, PlannedRow)
    Path(preview.row.output).write_bytes(b"of the user")
    assert problems_of(manifest, config) == [
        f"{preview.row.output} already exists and was not written by this program"
    ]
    # A run that has begun says nothing of the file, one that ended before its receipt does.
    write_owner(preview.work, preview.row.output, preview.fingerprint)
    assert problems_of(manifest, config)
    announce(preview.work, Path(preview.row.output))
    assert isinstance(previews_of(manifest, config)[0], PlannedRow)


def test_a_preview_that_is_there_is_not_made_again_and_an_older_one_is(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest
) -> None:
    manifest = write_manifest(good)
    (preview,) = previews_of(manifest, config)
    assert isinstance(preview, PlannedRow)
    output, fingerprint = preview.row.output, preview.fingerprint
    Path(output).write_bytes(b"ours")
    ours = RowResult(1, preview.row.id, "done", output=output, fingerprint=fingerprint)
    write_receipt(ours, RowCosts())
    assert previews_of(manifest, config) == [
        replace(ours, status="skipped", place="manifest.jsonl line 1")
    ]
    (changed,) = previews_of(write_manifest(good | {"seed": 3}), config)
    assert isinstance(changed, PlannedRow)
    Path(output).write_bytes(b"user")  # in the place of ours, and as long
    for row in (good, good | {"seed": 3}):
        assert problems_of(write_manifest(row), config) == [
            f"{output} already exists and has changed since this program wrote it"
        ]


def test_a_name_that_gets_too_long_is_said(
    config: RenderConfig, good: Cells, write_manifest: WriteManifest, tmp_path: Path
) -> None:
    output = str(tmp_path / f"{'a' * 235}.mp4")
    assert problems_of(write_manifest(good | {"output": output}), config) == [
        "the name of the file is longer than 240 bytes"
    ]
