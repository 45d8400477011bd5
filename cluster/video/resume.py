"""What a video still needs: from the files that exist back to the jobs that are missing."""

from collections.abc import Callable
from dataclasses import dataclass

from sonic_ops.sampling.halo import StepPlan

PlanStep = Callable[[int], StepPlan]
"""The plan of a step."""

NONE: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class RemainingWork:
    """What must be computed, by step.

    `made[k]` are the segments whose latents after k steps are missing; `writers[k]` those whose
    windows must be denoised in step k.
    """

    made: tuple[frozenset[int], ...]
    writers: tuple[frozenset[int], ...]


def remaining_work(
    plan: PlanStep,
    num_steps: int,
    wanted: frozenset[int],
    kept: Callable[[int], frozenset[int]],
) -> RemainingWork:
    """Walk back from the segments that are `wanted` after the last step.

    `kept(k)` are the segments that have a file of their latents after k steps. Such a file needs
    nothing; what has none needs the windows that write to it, and these need all that they read.
    """
    made, writers = [NONE] * (num_steps + 1), [NONE] * num_steps
    for step in reversed(range(num_steps)):
        made[step + 1] = wanted - kept(step + 1)
        if not made[step + 1]:
            break
        part = plan(step)
        writers[step] = NONE.union(*(part.writers[owner] for owner in made[step + 1]))
        wanted = NONE.union(*(part.sources[writer] for writer in writers[step]))
    return RemainingWork(tuple(made), tuple(writers))
