"""Progress in the log of a job: lines that tell what is done, how fast, and what is left."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from exvad.pipeline.progress.lines import ProgressLines, format_duration
from exvad.pipeline.progress.terminal import progress_bar


def logged() -> tuple[Console, io.StringIO]:
    """Return a console without a terminal, and what is printed on it."""
    text = io.StringIO()
    return Console(file=text, width=20), text


def test_lines_appear_while_the_work_goes_on() -> None:
    console, text = logged()
    with ProgressLines(console, every=0.05) as progress:
        task = progress.add_task("encoding", total=1000)
        hidden = progress.add_task("rendering", total=None, visible=False)
        for done in range(1, 9):
            time.sleep(0.05)
            progress.update(task, completed=10 * done)
            progress.update(hidden, completed=done)
        before_the_end = text.getvalue().splitlines()
    assert len(before_the_end) >= 3
    assert all(line.startswith("encoding: ") for line in before_the_end)
    assert " of 1000, " in before_the_end[-1]
    assert " a minute, about " in before_the_end[-1]
    assert before_the_end[-1].endswith(" s left")
    assert text.getvalue().splitlines()[-1].startswith("encoding: 80 of 1000 in ")


def test_short_work_is_one_line() -> None:
    console, text = logged()
    with ProgressLines(console) as progress:
        task = progress.add_task("encoding", total=2)
        progress.advance(task, 2)
    assert text.getvalue() == "encoding: 2 of 2 in 0 s\n"


def test_error_in_the_work_ends_the_lines() -> None:
    console, text = logged()
    progress = ProgressLines(console, every=0.01)
    progress.add_task("encoding", total=2)
    with pytest.raises(KeyError), progress:
        raise KeyError
    length = len(text.getvalue())
    time.sleep(0.05)
    assert len(text.getvalue()) == length


def test_jobs_without_a_terminal_get_lines() -> None:
    assert isinstance(progress_bar(), ProgressLines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "0 s"),
        (59.6, "1 min 0 s"),
        (725, "12 min 5 s"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 4 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
