"""Rounds: the same rows, again and again, and what they must have given at the end."""

import hashlib
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import s3fs
import yaml

from tests.end_to_end.conftest import FAST, NOTICE
from tests.faults.chaos.command import Command
from tests.faults.chaos.havoc import Havoc, Stage
from tests.faults.chaos.nodes import NUM_NODES, PORT, Cluster
from tests.faults.chaos.store import Proxy
from tests.faults.chaos.wire import Wire, address_of
from tests.flows.conftest import FACE, SPEECH

HAVOC_S: Final = 150.0
"""After this time, or that of the quiet round if it is longer, nothing goes wrong any more."""
STALLED_S: Final = 600.0
"""How long no row may end from then on."""
MOST_RUNS: Final = 40
GONE_S: Final = 20.0
ENDS: Final = (0.4, 2.9, 0.8, 2.4, 4.0, 1.3, 2.0, 0.4)
ENDINGS: Final = ("mp4", "webm", "mov", "gif")


@dataclass(frozen=True, slots=True)
class Round:
    """What a round was: its time, what went wrong, and what is wrong with what it left."""

    seconds: float
    faults: dict[str, int] = field(default_factory=dict)
    num_runs: int = 1
    num_jobs_again: int = 0
    num_restarts: int = 0
    left: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Theatre:
    """The nodes, their wire and their store, and the digests of the quiet run."""

    folder: Path
    cluster: Cluster
    wire: Wire
    proxy: Proxy
    server: dict[str, str]
    quiet: dict[str, str] = field(default_factory=dict)
    quiet_s: float = 0.0
    num_rounds: int = 0

    def prepare(self) -> None:
        """Write the preset and the manifest."""
        cluster = {"address": f"{address_of(0)}:{PORT}", "workers": NUM_NODES}
        cluster |= {"worker_timeout_s": 15, "job_timeout_s": 120, "max_retries": 20}
        preset = FAST | {
            "models": {"weights": str(self.folder / "weights"), "notice": NOTICE},
            "sampling": {"steps": 10, "window_frames": 6, "shift_frames": 2},
            "cluster": cluster,
            "checkpoint_every": 2,
            "lease_s": 20,
            "max_attempts": 20,
        }
        (self.folder / "preset.yaml").write_text(yaml.safe_dump(preset))
        base: dict[str, object] = {"portrait": str(FACE), "audio": str(SPEECH)}
        rows = [
            base | {"id": f"{n}", "end": end, "seed": n, "output": f"{n}.{ENDINGS[n % 4]}"}
            for n, end in enumerate(ENDS)
        ]
        pq.write_table(pa.Table.from_pylist(rows), self.folder / "m.parquet")

    def play(self, chance: random.Random | None) -> Round:
        """Render all rows while things go wrong; without `chance`, nothing does."""
        self.num_rounds += 1
        place = f"{self.num_rounds}"
        command = self._command(place)
        stage = Stage(self.cluster, self.wire, self.proxy, command)
        havoc = Havoc(stage, chance) if chance else None
        began_s, restarts = time.monotonic(), self.cluster.num_restarts
        wrong = self._run(command, havoc)
        seconds = time.monotonic() - began_s
        self.quiet_s = self.quiet_s or seconds
        if havoc:
            havoc.end()
        wrong += [f"left: {line}" for line in command.wait_for_helpers(GONE_S)]
        wrong += [f"printed: {line}" for line in command.foreign_lines()[:3]]
        wrong += self._compare(place)
        return Round(
            seconds=seconds,
            faults=dict(havoc.counts) if havoc else {},
            num_runs=command.num_runs,
            num_jobs_again=command.num_jobs_again(),
            num_restarts=self.cluster.num_restarts - restarts,
            left=self._left(place),
            wrong=wrong,
        )

    def _command(self, place: str) -> Command:
        home = self.folder / "home" / place
        home.mkdir(parents=True)
        env = {f"FSSPEC_S3_{name.upper()}": value for name, value in self.server.items()}
        host, port = self.proxy.server_address[:2]
        env |= {"FSSPEC_S3_ENDPOINT_URL": f"http://{host!s}:{port}", "TMPDIR": str(home)}
        env |= self.cluster.nodes[0].clock.env()
        arguments = ["render", str(self.folder / "m.parquet")]
        arguments += ["--preset", str(self.folder / "preset.yaml"), "--json-lines", "--no-report"]
        arguments += ["--output", f"s3://bucket/{place}/out", "--work", f"s3://bucket/{place}/work"]
        return Command(arguments, env, self.folder / f"round{place}.log")

    def _run(self, command: Command, havoc: Havoc | None) -> list[str]:
        """Run the command until it ends well, while things go wrong; what is wrong with that."""
        began_s, havoc_s = time.monotonic(), max(HAVOC_S, self.quiet_s)
        num_ended, ended_s = 0, 0.0
        command.start()
        while command.status() != 0:
            time.sleep(0.1)
            now_s = time.monotonic() - began_s
            if havoc and now_s < havoc_s:
                if begun := havoc.look():
                    print(f"{now_s:7.1f} s  {begun}", flush=True)
            elif havoc:
                havoc.end()
            self.cluster.look_after()
            if command.num_ended() != num_ended or now_s < havoc_s:
                num_ended, ended_s = command.num_ended(), now_s
            if now_s - ended_s > STALLED_S or command.num_runs > MOST_RUNS:
                return [f"no row has ended for {now_s - ended_s:.0f} s, {command.num_runs} runs"]
            if command.status():
                print(f"{now_s:7.1f} s  ended with {command.status()}, begun again", flush=True)
                command.start()
        return []

    def _left(self, place: str) -> list[str]:
        """Files in the store and on the nodes that nobody needs any more."""
        store = s3fs.S3FileSystem(**self.server, use_listings_cache=False)
        names = [name.partition("/")[2] for name in store.find(f"bucket/{place}")]
        videos = {f"{place}/out/{n}.{ENDINGS[n % 4]}" for n in range(len(ENDS))}
        known = {*videos, f"{place}/out/m.results.parquet"}
        kept = (f"{place}/out/.sonic/receipts/", f"{place}/out/.sonic/analysis/")
        left = [name for name in names if name not in known and not name.startswith(kept)]
        for node in self.cluster.nodes:
            left += [f"{node.disk.name}/{path.name}" for path in node.disk.glob("*sonic-*[!k]")]
        home = self.folder / "home" / place
        return left + [f"home/{path.name}" for path in home.glob("*sonic-*[!k]")]

    def _compare(self, place: str) -> list[str]:
        """What the videos and the table of a round should not be."""
        store = s3fs.S3FileSystem(**self.server, use_listings_cache=False)
        out = f"bucket/{place}/out"
        names = [f"{n}.{ENDINGS[n % 4]}" for n in range(len(ENDS))]
        there = [name for name in names if store.exists(f"{out}/{name}")]
        found = {name: hashlib.sha256(store.cat(f"{out}/{name}")).hexdigest() for name in there}
        self.quiet = self.quiet or found
        wrong = [f"{name} is missing" for name in names if name not in found]
        wrong += [f"{name} has other bits" for name in found if found[name] != self.quiet[name]]
        try:
            with store.open(f"{out}/m.results.parquet") as file:
                table: list[dict[str, Any]] = pq.read_table(file).to_pylist()
        except FileNotFoundError:
            return [*wrong, "there is no table of results"]
        unfinished = [row for row in table if row["status"] not in ("done", "skipped")]
        return wrong + [f"row {row['id']} is {row['status']}" for row in unfinished]
