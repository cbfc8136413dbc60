"""What a process of a cluster sees of the places of a job, with its own disk and credentials."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exvad.data.storage.errors import StorageError, reason_of

if TYPE_CHECKING:
    from exvad.data.storage.marks import Marks
    from exvad.data.storage.places import Place

LOOK_SECONDS = 20.0  # storage that answers at all takes less than one


@dataclass(frozen=True)
class Sight:
    """What a process sees of one place.

    Args:
        found: whether the mark of the job is there.
        problem: why the place can't be read or written; empty if it can.
        lacking: the variables for storage that the job has and this process does not.
    """

    found: bool
    problem: str = ""
    lacking: Sequence[str] = ()

    @property
    def advice(self) -> str:
        """What to do about the variables that are missing; empty if there are none."""
        if not self.lacking:
            return ""
        return (
            f"The processes of the cluster lack {', '.join(self.lacking)}, which this job has: set "
            "what they need where Ray starts, on every node"
        )


def look_for_marks(
    marks: Marks, answer_name: str, variables: Mapping[str, Sequence[str]]
) -> dict[str, Sight]:
    """Look for the marks on the node where this runs, and write an answer beside each.

    Args:
        marks: the marks of the job.
        answer_name: name of the files to write.
        variables: configuration key of a place → names of the job's variables for its storage.

    Returns:
        Configuration key of each place → what this process sees there.
    """
    sights = {}
    for setting, place in marks.places:
        found, problem = _look(marks, place, answer_name)
        lacking = [] if found else [n for n in variables.get(setting, ()) if n not in os.environ]
        sights[setting] = Sight(found, problem, lacking)
    return sights


def _look(marks: Marks, place: Place, answer_name: str) -> tuple[bool, str]:
    """Look for the mark in one place; return whether it is there, or what is wrong."""
    seen: list[tuple[bool, str]] = []

    def look() -> None:
        try:
            if found := marks.is_in(place):
                (place / answer_name).write_text(answer_name)
            seen.append((found, ""))
        except StorageError as error:
            seen.append((False, error.reason))
        except OSError as error:
            seen.append((False, reason_of(error)))
        except ValueError as error:  # a setting of the client is missing or wrong
            seen.append((False, str(error).rstrip(".")))

    if place.is_local:
        look()
        return seen[0]
    # Without endpoint or credentials, a client may ask addresses that nothing answers at.
    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    thread.join(LOOK_SECONDS)
    return seen[0] if seen else (False, f"no answer within {LOOK_SECONDS:.0f} s")
