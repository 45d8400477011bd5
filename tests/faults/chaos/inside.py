"""`python -m tests.faults.chaos.inside FOLDER SEED SECONDS`: one seed, in a machine of its own."""

import argparse
import json
import logging
import os
import random
import time
from dataclasses import asdict
from pathlib import Path

from tests.faults.chaos.nodes import NUM_NODES, Cluster
from tests.faults.chaos.rounds import Round, Theatre
from tests.faults.chaos.store import faulty
from tests.faults.chaos.wire import Wire, address_of
from tests.s3 import s3_server

RESULT = "result "
"""What a line begins with that says what a round was."""
_STORE_PORT = 9000


def main() -> None:
    """Play a quiet round, then rounds with faults until the time is over or one goes wrong."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("seed", type=int)
    parser.add_argument("seconds", type=float)
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line per request
    wire = Wire(NUM_NODES, f"{options.seed}")
    chance = random.Random(options.seed)
    with (
        s3_server() as server,
        faulty((address_of(0), _STORE_PORT), server["endpoint_url"], chance) as proxy,
    ):
        os.environ.update(_settings(server, f"http://{address_of(0)}:{_STORE_PORT}"))
        cluster = Cluster(options.folder)
        theatre = Theatre(options.folder, cluster, wire, proxy, server)
        theatre.prepare()
        cluster.start()
        _say(theatre.play(None), theatre)
        until_s = time.monotonic() + options.seconds
        for number in range(1, 1_000):
            played = theatre.play(random.Random(f"{options.seed}-{number}"))
            _say(played, theatre)
            if played.wrong or time.monotonic() > until_s:
                break


def _settings(server: dict[str, str], url: str) -> dict[str, str]:
    """What workers need to find the store."""
    known = {f"FSSPEC_S3_{name.upper()}": value for name, value in server.items()}
    return known | {"FSSPEC_S3_ENDPOINT_URL": url}


def _say(played: Round, theatre: Theatre) -> None:
    counted = {"packets": theatre.wire.counts(), "answers": dict(theatre.proxy.counts)}
    print(RESULT + json.dumps(asdict(played) | counted), flush=True)


if __name__ == "__main__":
    main()
