"""The tasks of a row as tasks of Prefect, tried again by the rule of `rendering.py`."""

from collections.abc import Callable
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar

import prefect
from prefect.client.schemas.objects import State
from prefect.context import FlowRunContext

from flows.pipeline.rendering import RETRY_DELAY_S, may_try_again
from flows.pipeline.runs import RowRun

P = ParamSpec("P")
R = TypeVar("R")

_MANY = 1000  # the condition below counts, since the number comes from the configuration


def by_prefect(task: Callable[Concatenate[RowRun, P], R]) -> Callable[Concatenate[RowRun, P], R]:
    """Run a task as one of the flow of its row."""
    made: Callable[Concatenate[RowRun, P], R] = _task_of(task)
    return made


@cache
def _task_of(function: Callable[..., Any]) -> Any:
    return prefect.task(
        retries=_MANY,
        retry_delay_seconds=RETRY_DELAY_S,
        retry_condition_fn=is_machine_fault,
        persist_result=False,
    )(function)


def is_machine_fault(_task: object, _run: object, state: State[Any]) -> bool:
    """Retry what another try might do."""
    context = FlowRunContext.get()
    assert context is not None
    assert context.parameters is not None
    row: RowRun = context.parameters["row"]
    return may_try_again(row, state.result(raise_on_failure=False))
