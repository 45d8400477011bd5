"""A machine of its own, made of namespaces: its processes and networks are no other's."""

import os
import subprocess
import sys
from pathlib import Path

from tests.bare import SYSTEM_PATH

BIN = Path(sys.executable).parent

# A machine of its own, as far as processes, networks and Ray's files go.
ALONE = """
set -euo pipefail
export PATH
ip link set lo up
mkdir -p /tmp/ray && mount -t tmpfs ray /tmp/ray
"""

ADDRESS = "10.77.0.1:6399"

# A second node behind a cable that is pulled for a moment again and again: packets are lost.
BAD_CABLE = """
mkdir -p /run/netns && mount -t tmpfs netns /run/netns
ip netns add other
ip link add here type veth peer name there netns other
ip address add 10.77.0.1/24 dev here && ip link set here up
ip -n other address add 10.77.0.2/24 dev there && ip -n other link set there up
ip -n other link set lo up
ray start --head --node-ip-address=10.77.0.1 --port=6399 --num-cpus=1 --include-dashboard=false
ip netns exec other ray start --address=10.77.0.1:6399 --node-ip-address=10.77.0.2 --num-cpus=1
while true; do sleep 2; ip link set here down; echo cut; sleep 0.7; ip link set here up; done &
status=0
"$@" || status=$?
kill %1
exit $status
"""

# Room for more networks of nodes; the program makes them.
NODES = """
mkdir -p /run/netns && mount -t tmpfs netns /run/netns
exec "$@"
"""


def alone(script: str, *arguments: str) -> str:
    """Run a script of bash in a machine of its own; what it prints."""
    command, env = machine(script, *arguments)
    ran = subprocess.run(
        command, env=env, stdout=subprocess.PIPE, text=True, check=True, timeout=600
    )
    return ran.stdout


def machine(script: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """The command and the environment that run a script of bash in a machine of its own."""
    spaces = ["--net", "--pid", "--fork", "--mount", "--mount-proc", "--kill-child"]
    spaces += ["--map-root-user"] if os.getuid() else []
    # Of its own, too: what this process has told its own Ray.
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    command = ["unshare", *spaces, "bash", "-c", ALONE + script, "alone", *arguments]
    return command, env | {"PATH": f"{BIN}:{SYSTEM_PATH}", "RAY_AUTH_MODE": "disabled"}
