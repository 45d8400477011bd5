"""`sonic clean` says what it would remove, keeps what somebody needs, and removes the rest."""

import os
from pathlib import Path

import pytest

from cluster.pool.costs import RowCosts
from flows.commands.clean import clean
from flows.commands.orphans import DRAFT_AGE_S
from flows.console.units import size_in_words
from flows.planning.checking import weights_of
from flows.rows.config import load_preset
from flows.rows.fingerprint import fingerprint_of
from flows.rows.manifest import Line
from flows.rows.rows import Row, parse_row
from flows.state.leases import Leases
from flows.state.receipts import lease_target, write_owner, write_receipt
from flows.state.results import RowResult
from flows.urls import sha256_of
from sonic_ops.core.errors import RenderError
from sonic_ops.core.files import exists, written
from tests.flows.conftest import Cells, WriteManifest, unreadable

LONG_S = 3600.0


class Place:
    """A folder with outputs in it and the work of their rows beside them."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def output(self, name: str) -> str:
        return f"{self.folder}/out/{name}.mp4"

    def work(self, name: str, root: str = "out/.sonic", fingerprint: str = "f") -> str:
        work = f"{self.folder}/{root}/{name}-{fingerprint}"
        write_owner(work, self.output(name), fingerprint)
        with written(f"{work}/latents/000.safetensors") as path:
            path.write_bytes(bytes(2_000_000))
        return work

    def finish(self, name: str, fingerprint: str = "f") -> None:
        with written(self.output(name)) as path:
            path.write_bytes(b"a video")
        result = RowResult(1, name, "done", output=self.output(name), fingerprint=fingerprint)
        write_receipt(result, RowCosts())

    def clean(self, target: str = "", *, yes: bool) -> str:
        said: list[str] = []
        clean(target or self.folder, None, said.append, yes=yes)
        return "\n".join(said)


@pytest.fixture(params=["local", "remote"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    local = request.param == "local"
    return Place(str(tmp_path) if local else f"memory://clean/{tmp_path.name}")


def test_work_of_finished_rows_goes_and_work_of_others_stays(place: Place) -> None:
    for name in ("finished", "changed"):
        place.finish(name)
    gone = [place.work("finished"), place.work("finished", root="elsewhere/work")]
    stays = [place.work("half"), place.work("changed", fingerprint="g")]
    said = place.clean(yes=False)
    assert all(map(exists, (*gone, *stays)))
    assert f"{gone[0]}  (work of {place.output('finished')}, which is finished)" in said
    assert "to be removed: 2, 4.0 MB" in said
    assert "kept: 2, 4.0 MB" in said
    assert "with --yes" in said
    place.clean(yes=True)
    assert [*map(exists, (*gone, *stays))] == [False, False, True, True]
    assert exists(place.output("finished"))
    assert "removed: 0, 0 B" in place.clean(yes=True)


def test_what_is_in_work_stays_although_it_was_finished_before(place: Place) -> None:
    place.finish("a")
    work, leases = place.work("a"), Leases(LONG_S)
    leases.take(lease_target(place.output("a")))
    assert "in work by process" in place.clean(yes=True)
    assert exists(work)
    leases.release(lease_target(place.output("a")))
    place.clean(yes=True)
    assert not exists(work)


def test_stale_leases_and_folders_that_nobody_knows_go(place: Place) -> None:
    target = lease_target(place.output("a"))
    Leases(0.0).take(target)
    unknown = f"{place.folder}/out/.sonic/unknown"
    for url in (f"{unknown}/sound.wav", f"{place.folder}/mine/sonic-row.json"):
        with written(url) as path:
            path.write_text("[]")
    said = place.clean(yes=True)
    assert "the lease of a command that is gone" in said
    assert f"{unknown}  (work of no known row)" in said
    assert not exists(unknown)
    assert not exists(f"{target}.1.lease")
    assert exists(f"{place.folder}/mine/sonic-row.json")  # no work folder of ours


def test_nothing_is_removed_while_something_cannot_be_read(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    place.finish("a")
    work = place.work("a")
    unreadable(Path(work) / "sonic-row.json")
    with pytest.raises(RenderError, match="symbolic links"):
        place.clean(yes=True)
    assert exists(f"{work}/latents/000.safetensors")


def test_a_lease_that_is_just_being_made_stays(tmp_path: Path) -> None:
    place = Place(str(tmp_path))
    lease = Path(f"{lease_target(place.output('a'))}.1.lease")
    lease.parent.mkdir(parents=True)
    lease.touch()
    place.clean(yes=True)
    assert lease.exists()


def test_old_drafts_go_and_new_ones_stay(tmp_path: Path) -> None:
    old, new = (tmp_path / f".{digit * 32}.draft" for digit in "ab")
    for draft in (old, new):
        draft.write_text("half")
    then = old.stat().st_mtime - DRAFT_AGE_S - 60
    os.utime(old, (then, then))
    assert "a draft that was never finished" in Place(str(tmp_path)).clean(yes=True)
    assert (old.exists(), new.exists()) == (False, True)


def test_a_manifest_says_which_rows_are_known(
    tmp_path: Path, good: Cells, write_manifest: WriteManifest
) -> None:
    place = Place(str(tmp_path))
    manifest = write_manifest(good | {"output": place.output("known")})
    known, unknown = place.work("known"), place.work("unknown")
    preview = place.work("known.preview")
    said = place.clean(manifest, yes=True)
    assert "which the manifest does not have" in said
    assert [*map(exists, (known, preview, unknown))] == [True, True, False]


@pytest.mark.parametrize(
    ("size", "said"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_340_000, "2.3 MB"), (5e15, "5000.0 TB")],
)
def test_sizes_are_written_as_people_read_them(size: float, said: str) -> None:
    assert size_in_words(size) == said


def test_with_a_preset_work_for_other_settings_goes_and_that_for_these_stays(
    tmp_path: Path, good: Cells, write_manifest: WriteManifest
) -> None:
    place, config = Place(str(tmp_path)), load_preset("lite")
    manifest = write_manifest(good | {"output": place.output("a")})
    row = parse_row(Line(1, good | {"output": place.output("a")}), str(tmp_path), None)
    assert isinstance(row, Row)
    fingerprint = fingerprint_of(row, config.for_row(row), weights_of(config), sha256_of)
    ours, other = place.work("a", fingerprint=fingerprint), place.work("a", fingerprint="f")
    assert "to be removed: 0" in place.clean(manifest, yes=False)
    said: list[str] = []
    clean(manifest, None, said.append, yes=True, config=config)
    assert f"{other}  (work of {place.output('a')} with other inputs or settings)" in "\n".join(
        said
    )
    assert (exists(ours), exists(other)) == (True, False)


def test_videos_that_no_row_names_are_listed_and_kept(
    tmp_path: Path, good: Cells, write_manifest: WriteManifest
) -> None:
    place = Place(str(tmp_path))
    for name in ("a", "old"):
        place.finish(name)
    (tmp_path / "out" / "mine.mp4").write_bytes(b"of the user")
    said = place.clean(write_manifest(good | {"output": place.output("a")}), yes=True)
    assert f"{place.output('old')}  (a video that no row of the manifest names" in said
    assert "kept: 1, 7 B" in said
    assert "mine.mp4" not in said
    assert exists(place.output("old"))
