"""Whether a process on another node works on the same places as the job that started it.

A local folder is another one on every machine: what a worker writes there is lost, and what it
looks for there is missing. So a job writes a file with a random name into its places, and every
process that gets the marks looks for it once, before it reads or writes anything else.
"""

from __future__ import annotations

import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from exvad.data.storage.errors import StorageError
from exvad.data.storage.places import Place, resolve_place

PREFIX = ".exvad-mark-"
ADVICE = "Give a folder that all nodes share, or a bucket"
_REMOTE_ADVICE = "Set the same endpoint and credentials of storage where Ray starts, on every node"
_ABSENT = (FileNotFoundError, NotADirectoryError)

_seen: set[str] = set()  # marks that this process wrote or found
_looking = threading.Lock()


class UnsharedPlaceError(ValueError):
    """A node does not see the files of a place; the message names the setting and the node."""


@dataclass(frozen=True)
class Marks:
    """The places of a job with the file that it wrote into each; can be pickled.

    Args:
        name: the name of the file, which is also its content; empty for a job without marks.
        places: configuration key and place of each.
    """

    name: str = ""
    places: tuple[tuple[str, Place], ...] = ()

    def check(self) -> None:
        """Look for the marks; once they were found, this process does not look again.

        Raises:
            UnsharedPlaceError: a place is another one here.
            StorageError: storage does not answer.
            OSError: a disk can't be read.
        """
        if self.name in _seen or not self.places:
            return
        with _looking:
            if self.name in _seen:
                return
            missing = self.missing()
            if missing:
                raise self.unshared(missing[0], socket.gethostname())
            _seen.add(self.name)

    def missing(self) -> list[str]:
        """Return the keys of the places where this process does not find the mark.

        Raises:
            StorageError, OSError: see `check`.
        """
        return [setting for setting, place in self.places if not self.is_in(place)]

    def unshared(self, setting: str, node: str, advice: str = "") -> UnsharedPlaceError:
        """Return the error of a place that is another one on a node.

        Args:
            setting: the configuration key of the place.
            node: the name or address of the node.
            advice: what to do, where more is known about it.
        """
        place = dict(self.places)[setting]
        if not advice:
            advice = ADVICE if place.is_local else _REMOTE_ADVICE
        return UnsharedPlaceError(
            f"{setting} {place} is not the same place on all nodes: "
            f"{node} does not see the files of the job. {advice}"
        )

    def is_in(self, place: Place) -> bool:
        """Return whether this process finds the mark in a place.

        Raises:
            StorageError, OSError: see `check`.
        """
        try:
            return (place / self.name).read_text() == self.name
        except _ABSENT:
            return False


UNMARKED = Marks()


@contextmanager
def marked(
    written: Mapping[str, str] | None = None, read: Mapping[str, str] | None = None
) -> Iterator[Marks]:
    """Write a mark into places; it is deleted at the end of the block.

    Args:
        written: configuration key → path or URI of the places that the job writes to.
        read: the same of those that it only reads. One that takes no files has no mark.

    Raises:
        OSError, StorageError: a mark can't be written.
    """
    name = f"{PREFIX}{uuid.uuid4().hex}"
    places: list[tuple[str, Place]] = []
    try:
        for setting, location in (written or {}).items():
            place = resolve_place(location)
            (place / name).write_text(name)
            places.append((setting, place))
        for setting, location in (read or {}).items():
            place = resolve_place(location)
            if place.is_local and not Path(place.path).is_dir():
                continue  # what reads it says that it is missing
            try:
                (place / name).write_text(name)
            except (OSError, StorageError):
                continue  # a store that others filled may be read-only
            places.append((setting, place))
        _seen.add(name)  # and it stays there: this process may use the places afterwards
        yield Marks(name, tuple(places))
    finally:
        for _, place in places:
            with suppress(OSError, StorageError):  # a mark that stays does no harm
                place.delete_files([name])
