"""Whether the process of a model can still use its GPU."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from exvad.serving.workers.errors import is_device_error


class DeviceHealth:
    """Computes in a thread, and remembers an error after which nothing can be computed any more.

    After an error in a kernel, CUDA refuses all that a process asks for, until it is started again.
    """

    def __init__(self) -> None:
        self._problem = ""

    async def compute(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what a function returns that may use the GPU, and that blocks.

        Args:
            function: the function.
            arguments: its arguments.

        Raises:
            Exception: whatever the function raises.
        """
        try:
            return await asyncio.to_thread(function, *arguments)
        except RuntimeError as error:
            if is_device_error(error):
                self._problem = str(error).partition("\n")[0]
            raise

    def check(self) -> None:
        """Raise an error if the GPU can't be used, so that Ray Serve replaces the replica.

        Raises:
            RuntimeError: an earlier computation has failed in this way.
        """
        if self._problem:
            raise RuntimeError(f"the process can't use its GPU any more ({self._problem})")
