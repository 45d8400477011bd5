"""Render through Prefect's API: submit once, follow, cancel, and read what became of the rows."""

import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
BUSY = 503
user, _, password = os.environ["PREFECT_API_AUTH_STRING"].partition(":")
api = httpx.Client(base_url=os.environ["PREFECT_API_URL"], auth=(user, password), timeout=30)


def ask(path: str, **content: Any) -> Any:
    for _ in range(40):
        answer = api.request("POST" if content else "GET", path, json=content)
        if answer.status_code != BUSY:
            break
        time.sleep(0.5)  # asking again is safe: a key makes one run, however often it is sent
    return answer.raise_for_status().json()


def submit(manifest: str, key: str, **parameters: str) -> str:
    deployment = ask("/deployments/name/render/render")["id"]
    given = {"parameters": {"manifest": manifest} | parameters, "idempotency_key": key}
    return str(ask(f"/deployments/{deployment}/create_flow_run", **given)["id"])


def follow(run: str, every_s: float = 2.0) -> Iterator[dict[str, Any]]:
    while (state := ask(f"/flow_runs/{run}")["state"])["type"] not in ENDED:
        yield state
        time.sleep(every_s)
    yield state


def cancel(run: str) -> None:
    ask(f"/flow_runs/{run}/set_state", state={"type": "CANCELLING"})


def results(run: str) -> list[dict[str, Any]]:
    wanted = {"type": {"any_": ["table"]}, "flow_run_id": {"any_": [run]}}
    tables = ask("/artifacts/filter", artifacts=wanted)
    return json.loads(tables[-1]["data"]) if tables else []


if __name__ == "__main__":
    flow_run = submit(*sys.argv[1:3])
    for step in follow(flow_run):
        print(step["name"], step["message"] or "")
    for row in results(flow_run):
        print(row["id"], row["verdict"], row["output"], row["reason"])
