"""The flows that `prefect.yaml` deploys: a manifest on demand, and a folder of them every night.

Every night takes all manifests of the folder: finished rows cost a look at their files, rows that
failed and inputs that have changed are rendered again. A lease keeps two runs from taking one
manifest together.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from io import StringIO
from pathlib import Path, PurePath
from typing import Any

from prefect import flow, runtime, task
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed
from rich.console import Console

from flows import DEFAULT_PRESET, urls
from flows.console.terminal import open_terminal
from flows.pipeline.artifacts import show_report, show_results
from flows.pipeline.notify import Outcome, message_of, notify, notifying
from flows.pipeline.run import EXIT_DONE, RunRequest, run
from flows.rows.manifest import ENDINGS, PACKED_ENDINGS
from flows.state.leases import open_leases
from flows.state.results import FINISHED, read_results, report_url
from sonic_ops.core.errors import LockedError, ManifestError, RenderError, SonicError
from sonic_ops.core.files import exists, names_in, printable

TAKEN = ".sonic/taken"
SAID = 3
"""Failed rows that the state of a run names, of every manifest."""
LEASE_S = 120.0
_OWN = tuple(  # written beside manifests, and no manifests
    f"{kind}{table}.parquet" for kind in (".", ".preview-") for table in ("results", "measures")
)
TRIES = 2
"""How often a manifest is tried again if a machine was at fault; rows have tries of their own."""


def notify_crash(flow: Any, flow_run: FlowRun, state: State[Any]) -> None:
    """Tell that a run has crashed: it could not say so itself."""
    given = flow_run.parameters
    name = str(given.get("manifest") or given.get("folder"))
    outcome = Outcome(text=f"{flow_run.name}: {state.name}: {state.message}")
    message = message_of(name, str(given.get("preset")), outcome)
    notify(_targets(given.get("notify"), given.get("webhook")), message)


def _targets(notify_urls: str | None, webhook: str | None) -> list[str]:
    """Split the URLs of a deployment; `webhook` is the former name of `notify`."""
    return [*(notify_urls or "").split(), *(webhook or "").split()]


def _is_machine_fault(_task: object, _run: object, state: State[Any]) -> bool:
    return isinstance(state.result(raise_on_failure=False), RenderError)


@task(
    name="render-one-manifest",
    task_run_name=lambda: printable(runtime.task_run.parameters["manifest"]),
    retries=TRIES,
    retry_delay_seconds=30,
    retry_condition_fn=_is_machine_fault,
    persist_result=False,
)
def render_one(manifest: str, preset: str, output: str | None) -> tuple[str, list[str]]:
    """Render a manifest as the command does, and show its results.

    What it says goes to the log. Returns why rows failed, if some did, and the results tables.
    """
    request = RunRequest(manifest, preset, output, report=True, confine=True)
    targets: list[str] = []
    status = run(request, open_terminal("lines", Console(file=RunLog(), width=200)), targets.append)
    for target in targets:
        show_results(manifest, partial(read_results, target))
        if exists(report_url(target)):
            show_report(manifest, report_url(target))
    return "" if status == EXIT_DONE else _reasons(manifest, targets), targets


def _reasons(manifest: str, targets: Sequence[str]) -> str:
    """Return why rows of a manifest are not finished, those that are named."""
    rows = [row for target in targets for row in read_results(target)]
    failed = [row for row in rows if row.status not in FINISHED]
    shown = "; ".join(f"{row.id}: {row.error or row.status}" for row in failed[:SAID])
    more = f"; and {len(failed) - SAID} more" if len(failed) > SAID else ""
    name = urls.printable(urls.name_of(manifest))
    return f"{name}: {len(failed)} of {len(rows)} rows are not finished ({shown}{more})"


@flow(
    name="render",
    flow_run_name=lambda: _name_of_run("manifest"),
    on_crashed=[notify_crash],
    persist_result=False,
)
def render_on_demand(
    manifest: str,
    preset: str = DEFAULT_PRESET,
    output: str | None = None,
    notify: str | None = None,
    webhook: str | None = None,
) -> State[Any]:
    """Render a manifest; failed if a row is. `notify` has URLs separated by spaces."""
    manifest, output = _here(manifest), output and _here(output)
    with notifying(_targets(notify, webhook), manifest, preset) as outcome:
        reason, tables = render_one(manifest, preset, output)
        return _ended(outcome, [reason] if reason else [], tables, 1)


@flow(
    name="nightly-dubbing",
    flow_run_name=lambda: _name_of_run("folder"),
    on_crashed=[notify_crash],
    persist_result=False,
)
def render_folder(
    folder: str,
    preset: str = DEFAULT_PRESET,
    output: str | None = None,
    notify: str | None = None,
    webhook: str | None = None,
) -> State[Any]:
    """Render all manifests of a folder or bucket; failed if a row of them is."""
    folder, output = _here(folder), output and _here(output)
    reasons, tables, num_taken = list[str](), list[str](), 0
    with notifying(_targets(notify, webhook), folder, preset) as outcome:
        try:
            manifests = list(manifests_in(folder))
        except ManifestError as error:
            return _ended(outcome, [f"{error}. {error.remedy}"], [], 0)
        for manifest in manifests:
            taken = _take(manifest, preset, output)
            if taken is not None:
                num_taken += 1
                reasons += [taken[0]] if taken[0] else []
                tables += taken[1]
        return _ended(outcome, reasons, tables, num_taken)


def manifests_in(folder: str) -> Iterator[str]:
    """List the manifests of a folder. Raises ManifestError if there is no folder."""
    if not urls.is_folder(folder):
        raise ManifestError(
            f"There is no folder {urls.printable(folder)}",
            remedy="Make it, or correct the parameter `folder` of the deployment.",
        )
    for name in sorted(names_in(folder)):
        path = PurePath(name)
        kind = path.with_suffix("") if path.suffix.lower() in PACKED_ENDINGS else path
        if kind.suffix.lower() in ENDINGS and not name.endswith(_OWN) and name[0] not in ".~":
            yield urls.join(folder, name)


def _take(manifest: str, preset: str, output: str | None) -> tuple[str, list[str]] | None:
    """Render a manifest as `render_one` does; None if another run has it."""
    name = urls.name_of(manifest)
    with open_leases(LEASE_S) as leases:
        try:
            leases.take(urls.join(urls.folder_of(manifest), TAKEN, name))
            return render_one(manifest, preset, output)
        except LockedError:
            return None
        except SonicError as error:
            get_run_logger().error("%s: %s. %s", name, error, error.remedy)
            return f"{urls.printable(name)}: {error}", []


def _ended(
    outcome: Outcome, reasons: Sequence[str], tables: Sequence[str], num_taken: int
) -> State[Any]:
    outcome.tables += tables
    outcome.text = "; ".join(reasons)
    if reasons:
        return Failed(message=outcome.text)
    return Completed(message=f"{num_taken} manifest{'s' * (num_taken != 1)} finished")


def _name_of_run(parameter: str) -> str:
    """Return the name of a flow run: without the password of a URL."""
    given = runtime.flow_run.parameters
    return printable(f"{given[parameter]} with {given['preset']}")


def _here(url: str) -> str:
    return urls.resolve(url, str(Path.cwd()))


class RunLog(StringIO):
    """A file whose lines go to the log of the run that is current."""

    def write(self, text: str) -> int:
        """Log every line of a text."""
        for line in text.splitlines():
            if line.strip():
                get_run_logger().info("%s", line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: no line waits."""
