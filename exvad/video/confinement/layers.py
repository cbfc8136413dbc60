"""The layers of confinement in their order, and what is out of reach behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from exvad.video.confinement.kernel import forbid_new_privileges
from exvad.video.confinement.landlock import give_up_files, landlock_version
from exvad.video.confinement.namespaces import (
    become_nobody,
    enter_namespaces,
    give_up_capabilities,
)
from exvad.video.confinement.seccomp import COMPUTE, Rule, allow_only

TARGETS = ("files", "network", "other processes")  # what must be out of reach
MAX_LAYERS, MAX_LENGTH = 8, 40


@dataclass(frozen=True)
class Confinement:
    """What keeps a decoding process from the rest of the machine.

    Args:
        layers: what the kernel put into force, such as `seccomp`.
        reachable: what a trial from inside could reach all the same, of `TARGETS`.
    """

    layers: tuple[str, ...]
    reachable: tuple[str, ...]

    def __str__(self) -> str:
        layers = " + ".join(self.layers) if self.layers else "limits of memory and time only"
        if not self.reachable:
            return f"{layers}; files, network and other processes are out of reach"
        return f"{layers}; a hostile video could reach {', '.join(self.reachable)}"

    @classmethod
    def parse(cls, report: Any) -> Confinement:
        """Return the confinement that a new process reports, before it has seen any video.

        Args:
            report: `layers` and `reachable`, lists of text.

        Raises:
            ValueError: it is no report.
        """
        try:
            layers = tuple(str(layer)[:MAX_LENGTH] for layer in report["layers"])[:MAX_LAYERS]
            reachable = tuple(target for target in TARGETS if target in report["reachable"])
        except (KeyError, TypeError) as error:
            raise ValueError("no report of a confinement") from error
        return cls(layers, reachable)


def leave_machine(processes: bool = True) -> list[str]:
    """Leave the user, the files, the network and the processes of the machine, where possible.

    This process must have no threads, and has to fork to leave the processes.

    Args:
        processes: whether child processes leave the machine's processes.

    Returns:
        The layers that are in force.
    """
    layers = ["another user"] if become_nobody() else []
    return [*layers, "namespaces"] if enter_namespaces(processes) else layers


def confine(rules: Sequence[Rule] = COMPUTE, ports: Sequence[int] = ()) -> list[str]:
    """Give up all that this process does not need for good: from here on it may be taken over.

    Args:
        rules: system calls that stay possible.
        ports: TCP ports to which it may still connect; meaningful with rules that allow it.

    Returns:
        The layers that are in force.

    Raises:
        OSError: the kernel does not even forbid new privileges.
    """
    forbid_new_privileges()
    give_up_capabilities()
    layers = []
    version = landlock_version()
    if give_up_files(ports):
        layers.append(f"Landlock {version}")
    if allow_only(rules):
        layers.append("seccomp")
    return layers
