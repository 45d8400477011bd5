"""A cluster that starts a node for an actor that finds no room: `python -m tests.faults.growing 3`.

It is Ray's own autoscaler with its provider of pretended nodes. `AutoscalingCluster` does the same,
but ends every Ray of its machine first, and the wheel lacks its file of settings.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cluster.config import ClusterConfig
from cluster.video.pools import open_pool
from sonic_ops.core.config import ModelsConfig

WAIT_S = 240


class Idle:
    """A worker without weights."""

    def __init__(self, models: ModelsConfig) -> None:
        pass

    def load(self) -> str:
        return "no processor"


def settings(most: int) -> dict[str, Any]:
    """The cluster: a head without room for a worker, and nodes of one CPU."""
    provider: dict[str, Any] = {"use_node_id_as_ip": True, "disable_node_updaters": True}
    provider |= {"type": "fake_multinode", "disable_launch_config_check": True}
    lists = ("initialization", "setup", "head_setup", "worker_setup", "head_start_ray")
    node: dict[str, Any] = {"node_config": {}, "min_workers": 0}
    small = node | {"resources": {"CPU": 1, "object_store_memory": 10**8}, "max_workers": most}
    return {
        "cluster_name": "growing",
        "max_workers": most,
        "provider": provider,
        "available_node_types": {
            "small": small,
            "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        },
        "head_node_type": "ray.head.default",
        "idle_timeout_minutes": 30,
        "upscaling_speed": 1.0,
        "auth": {},
        "docker": {},
        "file_mounts": {},
        "cluster_synced_files": [],
        "file_mounts_sync_continuously": False,
        "rsync_exclude": [],
        "rsync_filter": [],
        **{f"{name}_commands": [] for name in (*lists, "worker_start_ray")},
    }


def main(most: int) -> None:
    """Start the cluster, join it, and print how many workers come."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "growing.json"
        path.write_text(json.dumps(settings(most)))
        start = ["ray", "start", "--head", "--num-cpus=0", f"--autoscaling-config={path}"]
        env = {"AUTOSCALER_UPDATE_INTERVAL_S": "1", "RAY_FAKE_CLUSTER": "1"}
        subprocess.run(start, env=os.environ | env, check=True)
        config, models = ClusterConfig(address="auto"), ModelsConfig(weights="none")
        with open_pool(config, models, most=most, make_worker=Idle) as pool:
            until_s = time.monotonic() + WAIT_S
            while pool.num_workers < most and time.monotonic() < until_s:
                time.sleep(0.5)
            print(f"joined {pool.num_workers}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
