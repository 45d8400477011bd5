"""The flows that `prefect.yaml` deploys: a manifest on demand, and a folder of them every night.

A manifest of the folder is taken once: a note beside it says with which content, and a lease keeps
two runs from taking it together. One that changes is taken again, and only its changed rows render.
"""

import json
import logging
import urllib.request
from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path, PurePath
from typing import Any

from prefect import flow, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed
from rich.console import Console

from flows import DEFAULT_PRESET, addresses
from flows.console.terminal import open_terminal
from flows.pipeline.run import EXIT_DONE, RunRequest, run
from flows.rows.manifest import ENDINGS
from flows.state.leases import open_leases
from sonic_ops.core.errors import InWorkElsewhereError, ManifestError, RenderError, SonicError
from sonic_ops.core.files import names_in, written

_log = logging.getLogger(__name__)

NOTES = ".sonic/taken"
LEASE_S = 120.0
_OWN = tuple(  # written beside manifests, and no manifests
    f"{kind}{table}.parquet" for kind in (".", ".preview-") for table in ("results", "measures")
)
TRIES = 2
"""How often a manifest is tried again if a machine was at fault; rows have tries of their own."""


def notify_webhook(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Post what became of a run to the `webhook` of its parameters, if it has one."""
    webhook = flow_run.parameters.get("webhook")
    if not webhook:
        return
    said = {"text": f"{flow_run.name}: {state.name}: {state.message}", "run": str(flow_run.id)}
    kind = {"Content-Type": "application/json"}
    try:
        request = urllib.request.Request(webhook, json.dumps(said).encode(), kind)
        urllib.request.urlopen(request, timeout=30).close()
    except (OSError, ValueError) as error:  # no answer, or no address
        _log.error("the failure could not be told to the webhook: %s", error)


def _is_machine_fault(_task: object, _run: object, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), RenderError)


@task(
    name="render-one-manifest",
    task_run_name="{manifest}",
    retries=TRIES,
    retry_delay_seconds=30,
    retry_condition_fn=_is_machine_fault,
    persist_result=False,
)
def render_one(manifest: str, preset: str, output: str | None) -> int:
    """Render a manifest as the command does; its exit status. What it says goes to the log."""
    request = RunRequest(manifest, preset, output, report=True)
    return run(request, open_terminal("lines", Console(file=RunLog(), width=200)))


@flow(
    name="render",
    flow_run_name="{manifest} with {preset}",
    on_failure=[notify_webhook],
    on_crashed=[notify_webhook],
    persist_result=False,
)
def render_on_demand(
    manifest: str,
    preset: str = DEFAULT_PRESET,
    output: str | None = None,
    webhook: str | None = None,
) -> State[Any]:
    """Render a manifest; failed if a row is."""
    manifest, output = _here(manifest), output and _here(output)
    status = render_one(manifest, preset, output)
    return _state([] if status == EXIT_DONE else [manifest], 1)


@flow(
    name="nightly-dubbing",
    flow_run_name="{folder} with {preset}",
    on_failure=[notify_webhook],
    on_crashed=[notify_webhook],
    persist_result=False,
)
def render_folder(
    folder: str, preset: str = DEFAULT_PRESET, output: str | None = None, webhook: str | None = None
) -> State[Any]:
    """Render the manifests of a folder or bucket that are new; failed if a row of them is."""
    folder, output = _here(folder), output and _here(output)
    failed, num_taken = [], 0
    for manifest in new_manifests(folder):
        try:
            taken = _take(manifest, preset, output)
        except SonicError as error:
            get_run_logger().error("%s: %s. %s", manifest, error, error.remedy)
            taken = False
        num_taken += taken is not None
        failed += [manifest] if taken is False else []
    return _state(failed, num_taken)


def new_manifests(folder: str) -> Iterator[str]:
    """The manifests of a folder that no run has taken with the content that they have now."""
    for name in sorted(names_in(folder)):
        if PurePath(name).suffix.lower() in ENDINGS and not name.endswith(_OWN):
            manifest = addresses.join(folder, name)
            if addresses.read_json(_note(manifest)) != _content(manifest):
                yield manifest


def _take(manifest: str, preset: str, output: str | None) -> bool | None:
    """Render a manifest unless another run has it, or had it meanwhile; whether all went well.

    A run that ends in the middle leaves no note: the next one takes the manifest, and goes on.
    """
    with open_leases(LEASE_S) as leases:
        try:
            leases.take(_note(manifest))
        except InWorkElsewhereError:
            return None
        content = _content(manifest)
        if addresses.read_json(_note(manifest)) == content:
            return None
        try:
            is_well = render_one(manifest, preset, output) == EXIT_DONE
        except ManifestError as error:  # it stays wrong until somebody mends it
            get_run_logger().error("%s. %s", error, error.remedy)
            is_well = False
        with written(_note(manifest)) as path:
            path.write_text(json.dumps(content))
        return is_well


def _note(manifest: str) -> str:
    folder = addresses.folder_of(manifest)
    return addresses.join(folder, NOTES, f"{addresses.name_of(manifest)}.json")


def _content(manifest: str) -> dict[str, str]:
    return {"sha256": addresses.sha256_of(manifest)}


def _state(failed: Sequence[str], num_taken: int) -> State[Any]:
    if failed:
        return Failed(message=f"not every row is finished: {', '.join(failed)}")
    return Completed(message=f"{num_taken} manifests rendered")


def _here(address: str) -> str:
    return addresses.resolve(address, str(Path.cwd()))


class RunLog(StringIO):
    """A file whose lines go to the log of the run that is current."""

    def write(self, text: str) -> int:
        for line in text.splitlines():
            if line.strip():
                get_run_logger().info("%s", line)
        return len(text)

    def flush(self) -> None:
        """Nothing waits."""
