"""Facts of the report: what is in the page, and what is not."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from cluster.pool.costs import RowCosts, Span
from flows.report.analysis_cache import cache_path
from flows.report.figures import mean_of
from flows.report.views import link_to, shown
from flows.report.writing import write_report
from flows.state.receipts import write_receipt
from flows.state.results import NOT_MARKED, RowResult, measures_url, results_of
from sonic_ops.core.errors import ManifestError
from sonic_ops.quality.analysis import analyse_video
from sonic_ops.quality.catalogue import ENTRIES
from tests.flows.report.reporting import ERROR, EVIL, done, make_video, write_table


class Page(HTMLParser):
    """The tags and the text of a page, with what its rows become when they are opened."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == ("script", {"type": "text/html"}):
            inside = Page(data)
            self.words += inside.words
            self.tags += inside.tags
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def urls(self) -> Iterator[str]:
        for _, attributes in self.tags:
            yield from (v for k, v in attributes.items() if k in ("src", "href", "poster"))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "a video #1.mp4")


def report(folder: Path, *results: RowResult, **extras: object) -> Page:
    return Page(Path(report_of(folder, *results, **extras)).read_text("utf-8"))


def report_of(folder: Path, *results: RowResult, **extras: object) -> str:
    said: list[str] = []
    return write_report(write_table(folder, results, extras), said.append)


def test_a_finished_row_has_its_video_figures_curves_and_timings(video: Path) -> None:
    result = done(1, video)
    spans = (Span(0, "encode audio", 1.0, 2.0), Span(1, "denoise", 2.0, 6.0))
    write_receipt(result, RowCosts(2, 5.0, seconds={"denoise": 4.0, "decode": 1.0}, spans=spans))
    page = report(video.parent, result, course="Analysis")
    (shown,) = page.all("video")
    assert shown["src"] == "a%20video%20%231.mp4"
    assert shown["poster"].startswith("data:image/webp;base64,")
    assert shown["preload"] == "none"
    for said in ("Lip sync", "Sharpness", "Pitch and loudness", "2 workers over 5.0 s", "Analysis"):
        assert said in page.text
    assert len(page.all("path")) >= 7


def test_the_figures_of_all_videos_are_a_table_with_means_and_intervals(
    tmp_path: Path, video: Path
) -> None:
    results = write_table(tmp_path, [done(1, video), done(2, make_video(tmp_path / "v.mp4", 40))])
    page = Page(Path(write_report(results, print)).read_text("utf-8"))
    table = pq.read_table(measures_url(results)).to_pylist()
    assert [(line["row"], line["of"], line["is_whole"]) for line in table] == [
        (row, *kind) for row in (1, 2) for kind in (
            ("video", True), ("video", False), ("still", True), ("shuffled", True),
        )
    ]  # fmt: skip
    assert "Means over rows, with 95 % intervals" in page.text


def test_baselines_stand_beside_the_videos_and_the_truth_where_a_row_names_one(
    tmp_path: Path, video: Path
) -> None:
    truth = make_video(tmp_path / "true.mp4", 60)
    results = write_table(tmp_path, [done(1, video)], {"truth": truth.name})
    page = Page(Path(write_report(results, print)).read_text("utf-8"))
    lines = {
        line["of"]: line
        for line in pq.read_table(measures_url(results)).to_pylist()
        if line["is_whole"]
    }
    assert lines["still"]["lip_sync"] == lines["still"]["mouth_motion"] == 0
    assert lines["still"]["sharpness_pct"] == pytest.approx(100)
    assert abs(lines["shuffled"]["lip_sync"]) < 0.1
    assert lines["truth"]["mouth_motion"] == pytest.approx(
        analyse_video(truth).measures.mouth_motion
    )
    for said in ("Still image", "Audio of other times", "Ground truth"):
        assert said in page.text


def test_a_truth_that_is_gone_is_said_beside_the_video(tmp_path: Path, video: Path) -> None:
    page = report(tmp_path, done(1, video), truth="gone.mp4")
    assert "gone.mp4 could not be measured" in page.text
    assert len(page.all("video")) == 1


def test_the_interval_of_a_mean_is_as_wide_as_the_rows_are_few() -> None:
    spread = np.random.default_rng(1).normal(5.0, 1.0, 400)
    for num_rows in (25, 400):
        values = spread[:num_rows]
        found = mean_of(ENTRIES[0], values.tolist())
        low, high = map(float, found.interval.split(" to "))
        assert low < float(found.mean) < high
        wide = 2 * 1.96 * values.std() / np.sqrt(num_rows)
        assert high - low == pytest.approx(wide, rel=0.2)
    assert mean_of(ENTRIES[0], [3.0]).interval == ""
    assert mean_of(ENTRIES[0], []).mean == "-"


def test_how_a_video_says_that_it_was_made_with_ai_is_seen(tmp_path: Path, video: Path) -> None:
    marked = done(1, video, provenance="metadata, XMP, C2PA")
    page = report(tmp_path, marked, done(2, video, provenance=NOT_MARKED))
    assert "Made with AI; how the file says so: metadata, XMP, C2PA." in page.text
    assert "1 of 2 marked as made with AI" in " ".join(page.text.split())


def test_a_row_that_failed_says_why_and_what_to_do(tmp_path: Path) -> None:
    page = report(tmp_path, RowResult(1, "one", "failed", output="/nowhere.mp4", **ERROR))
    assert "MissingFileError" in page.text
    assert "Check it." in page.text
    assert not page.all("video")


def test_nothing_from_the_manifest_becomes_a_tag(video: Path) -> None:
    bad = RowResult(2, EVIL, "failed", EVIL, EVIL, EVIL, f"/x/{EVIL}.mp4", notes=EVIL)
    page = report(video.parent, done(1, video, notes=f"{EVIL}; {EVIL}"), bad, **{EVIL: EVIL})
    assert len([script for script in page.all("script") if "type" not in script]) == 1
    assert not [name for _, attributes in page.tags for name in attributes if name[:2] == "on"]
    assert page.text.count("window.hacked=1") > 4


def test_the_page_needs_nothing_but_itself_and_the_videos(video: Path) -> None:
    page = report(video.parent, done(1, video))
    assert {"stylesheet"} & {link.get("rel", "") for link in page.all("link")} == set()
    for url in page.urls():
        assert url.startswith(("data:image/", "#")) or url == "a%20video%20%231.mp4"
    (policy,) = (meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert "default-src 'none'" in policy


def test_a_video_is_looked_at_once_and_again_when_it_has_changed(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.mp4", 30)
    analysis = Path(cache_path(str(video)))
    report(tmp_path, done(1, video))
    first = analysis.stat().st_mtime_ns
    report(tmp_path, done(1, video))
    assert analysis.stat().st_mtime_ns == first
    make_video(video, 40)
    report(tmp_path, done(1, video))
    assert analysis.stat().st_mtime_ns > first


def test_a_video_that_is_damaged_or_gone_is_said_and_the_others_are_shown(
    tmp_path: Path, video: Path
) -> None:
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no video")
    page = report(tmp_path, done(1, damaged), done(2, tmp_path / "gone.mp4"), done(3, video))
    assert page.text.count("could not be measured") == 4  # of two videos: in row and details
    assert len(page.all("video")) == 1


def test_numbers_are_as_long_as_they_say_something() -> None:
    numbers = [(None, 2), (1234.567, 1), (-0.2, 0), (-0.7, 0)]
    assert [shown(*number) for number in numbers] == ["-", "1,234.6", "0", "-1"]


def test_without_results_there_is_no_report(tmp_path: Path) -> None:
    (tmp_path / "text.results.parquet").write_text("no table")
    for name in ("none.results.parquet", "text.results.parquet"):
        with pytest.raises(ManifestError):
            write_report(str(tmp_path / name), print)


def test_the_results_of_a_manifest_are_found() -> None:
    assert results_of("/a/b.csv", None) == "/a/b.results.parquet"
    assert results_of("/a/b.csv", "/out") == "/out/b.results.parquet"
    for table in ("/a/b.results.parquet", "/a/b.preview-results.parquet"):
        assert results_of(table, "/out") == table


@pytest.mark.parametrize(
    ("output", "folder", "link"),
    [
        ("/a/out/v.mp4", "/a", "out/v.mp4"),
        ("/b/v.mp4", "/a", "../b/v.mp4"),
        ("/a/javascript:alert(1).mp4", "/a", "javascript%3Aalert%281%29.mp4"),
        ("s3://bucket/out/v.mp4", "s3://bucket", "out/v.mp4"),
        ("s3://bucket/v.mp4", "/a", None),
        ("/a/v.mp4", "s3://bucket", None),
        ("https://host/v.mp4", "/a", "https://host/v.mp4"),
    ],
)
def test_links_count_from_the_folder_of_the_page(
    output: str, folder: str, link: str | None
) -> None:
    assert link_to(output, folder) == link


def test_what_the_videos_were_made_with_is_said_once_for_all(tmp_path: Path, video: Path) -> None:
    made = {"preset": "lite", "model": "package:lite", "version": "0.1.0", "machine": "2 x CPU"}
    rows = [done(n, video, seed=n, **made) for n in range(1, 6)]
    page = " ".join(report(tmp_path, *rows).text.split())
    assert "preset lite model package:lite seed 1, 2, 3 and 2 more version 0.1.0 machine 2" in page
