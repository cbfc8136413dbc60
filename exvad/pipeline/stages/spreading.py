"""Reading and merging of many files of the store, as tasks on the cluster."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayTaskError

# After an error, the tasks that wait are left to end: Ray may abort the process that cancels a task
# which is just ending.
MAX_WAITING = 64


@dataclass(frozen=True)
class OverCluster:
    """Calls a function in a task for each argument; see `exvad.store.index.spread.Spread`.

    Args:
        num_cpus: CPU cores of a task.
    """

    num_cpus: float

    def __call__(self, function: Callable[[Any], Any], arguments: Sequence[Any]) -> Iterator[Any]:
        """Yield what the function returns, in the order of the arguments; raise what it raises."""
        task = ray.remote(num_cpus=self.num_cpus)(_call)
        shared = ray.put(function)
        waiting: deque[ray.ObjectRef] = deque()
        try:
            for argument in arguments:
                if len(waiting) == MAX_WAITING:
                    yield ray.get(waiting.popleft())
                waiting.append(task.remote(shared, argument))
            while waiting:
                yield ray.get(waiting.popleft())
        except RayTaskError as error:
            raise error.cause from None


def _call(function: Callable[[Any], Any], argument: Any) -> Any:
    return function(argument)
