"""`exvad memory`: mistakes are refused before a model is asked, and answers are kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exvad.cli.main import main
from exvad.data.storage.claims import claimed_file
from exvad.zero_shot.scene_memory import SceneMemory
from tests.helpers.chat_endpoint import (
    FakeEndpoint,
    Reply,
    answer_reply,
    error_reply,
    fake_endpoint,
)
from tests.helpers.disks import fill, small_disk


def build(output: Path, endpoint: FakeEndpoint, *arguments: str) -> int:
    """Build a memory of three subjects with a fake endpoint."""
    subjects = ["--kind", "Fire", "--kind", "Fall", "--place", "car park", "--scenes", "3"]
    settings = ["llm.backend=openai", "llm.model=writer", endpoint.override]
    return main(["memory", "build", "--output", str(output), *subjects, *settings, *arguments])


def subject_of(prompt: str) -> str:
    """Return the subject that a prompt asks about."""
    (subject,) = (name for name in ("Fire", "Fall", "car park") if f": {name.lower()}." in prompt)
    return subject


def scenes_about(prompt: str, count: int = 3) -> Reply:
    """Return an answer with scenes about the subject of a prompt."""
    return answer_reply(json.dumps([f"{subject_of(prompt)} {n}" for n in range(count)]))


def test_a_memory_that_came_out_short_is_kept_and_only_the_rest_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, partial = tmp_path / "memory.json", tmp_path / "memory.json.partial"

    def repeat_itself(number: int, prompt: str) -> Reply:
        return scenes_about(prompt, 1 if subject_of(prompt) == "Fall" else 3)

    with fake_endpoint(repeat_itself) as endpoint:
        assert build(output, endpoint) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert "fewer than 3 distinct scenes for Fall (1): " in message
    assert f"kept in {partial}, and the same command asks for what is missing" in message
    assert not output.exists()
    with fake_endpoint(lambda number, prompt: scenes_about(prompt)) as endpoint:
        assert build(output, endpoint) == 0
        asked = [subject_of(body["messages"][0]["content"]) for body in endpoint.requests]
    assert asked == ["Fall"]
    memory = SceneMemory.read(output)
    assert memory.incidents["Fall"] == ["Fall 0", "Fall 1", "Fall 2"]
    assert [len(memory.incidents["Fire"]), len(memory.normal["car park"])] == [3, 3]
    assert memory.origin == "written by writer"
    assert not partial.exists()


def test_a_memory_goes_on_after_an_endpoint_that_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "memory.json"

    def fail_at_places(number: int, prompt: str) -> Reply:
        if subject_of(prompt) == "car park":
            return error_reply(401, "the key has expired")
        return scenes_about(prompt)

    with fake_endpoint(fail_at_places) as endpoint:
        assert build(output, endpoint) == 2
    (message,) = capsys.readouterr().err.splitlines()
    assert "the key has expired" in message
    assert "the same command asks for what is missing" in message
    with fake_endpoint(lambda number, prompt: scenes_about(prompt)) as endpoint:
        assert build(output, endpoint, "llm.model=other") == 0
        assert len(endpoint.requests) == 1
    assert SceneMemory.read(output).origin == "written by writer; written by other"


def test_a_full_disk_is_one_sentence_and_costs_no_scene_that_was_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:

        def fill_up(number: int, prompt: str) -> Reply:
            if number > 2:  # the kinds of incident are asked for together, and saved
                fill(disk)
            return scenes_about(prompt)

        output = disk / "memory.json"
        with fake_endpoint(fill_up) as endpoint:
            assert build(output, endpoint) == 2
        (message,) = capsys.readouterr().err.splitlines()
        assert message == (
            f"exvad: {output}.partial: No space left on device; make room there and run the same "
            "command again"
        )
        (disk / "filler").unlink()
        assert [path.name for path in disk.iterdir()] == ["memory.json.partial"]
        with fake_endpoint(lambda number, prompt: scenes_about(prompt)) as endpoint:
            assert build(output, endpoint) == 0
            assert len(endpoint.requests) == 1
        assert len(list(SceneMemory.read(output).scenes())) == 9


def test_a_file_that_is_no_draft_is_refused_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    partial = tmp_path / "memory.json.partial"
    partial.write_text("[]")
    with fake_endpoint() as endpoint:
        assert build(tmp_path / "memory.json", endpoint) == 2
        assert endpoint.requests == []
    assert "is no draft of a memory: delete it" in capsys.readouterr().err
    assert partial.read_text() == "[]"


def test_a_memory_that_cannot_be_written_is_refused_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    # A model that does not exist: the place is looked at first.
    settings = ["llm.model=no/such-model"]
    for place in (tmp_path, tmp_path / "file/memory.json"):
        assert main(["memory", "build", "--output", str(place), *settings]) == 2
        assert f"--output {place}: " in capsys.readouterr().err


def test_a_memory_that_another_command_builds_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "memory.json"
    with (
        fake_endpoint(lambda number, prompt: scenes_about(prompt)) as endpoint,
        claimed_file(output, "exvad memory build"),
    ):
        assert build(output, endpoint) == 2
        assert endpoint.requests == []
    assert "another exvad memory build makes it" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
