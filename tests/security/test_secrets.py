"""Passwords and signatures in URLs reach no table, receipt, log, terminal or database."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from cluster.pool.costs import RowCosts
from flows.console.progress import say_outcome
from flows.console.terminal import open_terminal
from flows.rows.manifest import Line
from flows.rows.rows import passed_through
from flows.state.journal import Journal
from flows.state.leases import open_leases
from flows.state.receipts import read_owner, write_owner, write_receipt
from flows.state.results import RowResult, write_results
from flows.state.row_store import RowStore
from sonic_ops.core.errors import DamagedFileError, InputError, SonicError
from sonic_ops.core.files import open_url, printable
from sonic_ops.core.presets import read_preset
from sonic_ops.core.shown import without_secrets
from sonic_ops.media.subtitles import read_subtitles

SECRET = "hunter2"
URLS = (
    f"https://ada:{SECRET}@host/a.wav",
    f"https://{SECRET}@host/a.wav",
    f"HTTPS://ada:{SECRET}@host/a.wav",
    f"https://ada:p@ss{SECRET}@host/a.wav",
    f"https://host/a.wav?X-Amz-Signature={SECRET}&x=1",
    f"http://host:9/a.wav?{SECRET}",
    f"ftp://ada:{SECRET}@host/out/a.mp4",
    f"s3://key:{SECRET}@bucket/a.wav",
    f"abfs://box/a.wav?sv=1&sig={SECRET}",
    f"simplecache::https://ada:{SECRET}@host/a.wav",
)


@pytest.mark.parametrize("url", URLS)
def test_a_printed_url_has_no_secret(url: str) -> None:
    for text in (url, f"{url} cannot be opened", json.dumps({"a": url, "b": 1})):
        assert SECRET not in without_secrets(text)
    assert SECRET not in printable(url)
    assert json.loads(without_secrets(json.dumps({"a": url, "b": 1})))["b"] == 1
    assert "host" in printable(url) or "b" in printable(url)


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/a@b/what?.mp4", "/tmp/a@b?c=1.wav", "https://host/a.wav", "memory://a/b:c@d.wav"],
)
def test_other_urls_stay_as_they_are(url: str) -> None:
    assert without_secrets(url) == printable(url) == url


@pytest.mark.parametrize("url", URLS)
def test_no_error_has_a_secret(url: str) -> None:
    for error in (
        InputError(f"{url} is wrong", remedy=f"Look at {url}."),
        DamagedFileError(url),
    ):
        assert SECRET not in f"{error} {error.args} {error.message} {error.remedy}"


def test_a_url_that_does_not_answer_is_said_without_its_secret() -> None:
    for url in (
        f"http://ada:{SECRET}@127.0.0.1:9/a.wav?sig={SECRET}",
        f"nope://a:{SECRET}@b/c",
    ):
        with pytest.raises(SonicError) as raised, open_url(url):
            pass
        assert SECRET not in f"{raised.value} {raised.value.remedy}"


@pytest.fixture
def result(tmp_path: Path) -> RowResult:
    """A row whose URLs, errors and notes have a secret; its output is in memory."""
    url = URLS[0]
    return RowResult(
        1,
        "ada",
        "failed",
        error=f"{url} cannot be read",
        remedy=f"Look at {url}.",
        output=f"memory://key:{SECRET}@box/a.mp4",
        portrait=url,
        notes=f"the portrait is {url}",
        place=f"{url} line 2",
        fingerprint="f",
    )


def test_no_table_has_a_secret(tmp_path: Path, result: RowResult) -> None:
    target = str(tmp_path / "m.results.parquet")
    line = Line(1, {"subtitles": URLS[4], "truth": URLS[0], "more": URLS[1]})
    write_results(target, lambda: [(result, passed_through(line))])
    assert SECRET not in str(pq.read_table(target).to_pylist())


def test_no_journal_has_a_secret(tmp_path: Path, result: RowResult) -> None:
    with open_leases(10) as leases:
        Journal(str(tmp_path / "m.results.parquet"), leases).record(result)
    written = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert written
    assert not [content for content in written if SECRET.encode() in content]


def test_no_receipt_or_owner_has_a_secret(tmp_path: Path, result: RowResult) -> None:
    here = replace(result, output=f"{tmp_path}/a.mp4")
    (tmp_path / "a.mp4").write_bytes(b"video")
    write_receipt(here, RowCosts())
    work = str(tmp_path / "work")
    write_owner(work, f"ftp://ada:{SECRET}@host/a.mp4", "f" * 64)
    assert read_owner(work) == ("ftp://***@host/a.mp4", "f" * 64)
    written = [path.read_bytes() for path in tmp_path.rglob("*.json")]
    assert len(written) == 2
    assert not [content for content in written if SECRET.encode() in content]


def test_what_other_runs_have_written_is_found_again(result: RowResult) -> None:
    store = RowStore()
    store.record(replace(result, status="waiting"))
    store.remember(RowResult(**result.to_write()))  # type: ignore[arg-type]
    assert [row.status for row in store.results()] == ["failed"]


@pytest.mark.parametrize("form", ["lines", "json-lines", "quiet"])
def test_no_terminal_shows_a_secret(
    result: RowResult, form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = open_terminal(form)  # type: ignore[arg-type]
    say_outcome(result, terminal)
    terminal.warn(f"look at {URLS[0]}")
    printed = capsys.readouterr().out
    assert "host" in printed
    assert SECRET not in printed


LINE = "root:$6$hunter2:19000:0:99999:7:::"


@pytest.mark.parametrize("start", ["", "1\n00:00:", "1\n00:00:01 --> ", "WEBVTT\n\n", "{1}{2}"])
def test_no_error_quotes_a_file_that_is_something_else(tmp_path: Path, start: str) -> None:
    path = tmp_path / "shadow"
    path.write_text(f"{start}{LINE}\n{LINE}\n")
    said: list[str] = []
    try:
        said += read_subtitles(str(path)).notes
    except SonicError as error:
        said.append(str(error))
    path.write_text(f"{start}{LINE}\n: {LINE}\n  [")
    with pytest.raises(SonicError) as raised:
        read_preset(path)
    assert said
    assert SECRET not in f"{said} {raised.value}"


def test_no_manifest_error_quotes_a_file_that_is_something_else(tmp_path: Path) -> None:
    from flows.rows.manifest import open_manifest

    path = tmp_path / "m.csv"
    path.write_text(f"{LINE}\n{LINE}\n")
    with pytest.raises(SonicError) as raised, open_manifest(str(path)) as manifest:
        list(manifest.lines())
    assert SECRET not in str(raised.value)


def test_other_users_cannot_read_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.supervisor.prefect_settings import _home

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert os.stat(_home()).st_mode & 0o077 == 0  # noqa: PTH116
