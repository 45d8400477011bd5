"""A program in a cluster whose head dies and is started again: how it ends, and what is printed."""

import os
import signal
import subprocess
import sys
import time

from cluster.config import ClusterConfig
from cluster.video.pools import open_pool
from flows.supervisor.program import run
from sonic_ops.core.config import ModelsConfig
from tests.cluster.pool.counter import Counter
from tests.faults.chaos.nodes import command_line, pids, send

PORT = 6399
START = ["ray", "start", "--head", f"--port={PORT}", "--num-cpus=1", "--include-dashboard=false"]
START += ["--node-ip-address=127.0.0.1"]
TIMEOUT_S = 200.0
_WORK = "work"


def _work() -> None:
    """Work on the cluster until it ends this program."""
    config = ClusterConfig(workers=1, address=f"127.0.0.1:{PORT}")
    with open_pool(config, ModelsConfig(weights="none"), make_worker=Counter) as pool:
        print("joined", flush=True)
        while True:
            pool.get(pool.submit("load", affinity=(0, 0), persistent=True))
            time.sleep(0.2)


def _kill_head() -> None:
    for pid in pids():
        program = command_line(pid).partition(" ")[0]
        if program.endswith(("gcs/gcs_server", "raylet/raylet")):
            send(pid, signal.SIGKILL)


def main() -> None:
    """Start the cluster and the program, let the head die, and start it again."""
    subprocess.run(START, check=True, stdout=subprocess.DEVNULL)
    command = [sys.executable, "-m", "tests.faults.headless", _WORK]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "joined\n"
        _kill_head()
        time.sleep(2)
        subprocess.run(START, check=True, stdout=subprocess.DEVNULL)
        said, errors = process.communicate(timeout=TIMEOUT_S)
    print(f"status {process.returncode}")
    print(f"{said}{errors}")


if __name__ == "__main__":
    if sys.argv[1:] == [_WORK]:
        run(_work, os.pipe()[1], only_results=False)
    else:
        main()
