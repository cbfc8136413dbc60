"""An analyst resolves its checkpoint where it runs, leaves no copy, and needs no small files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exvad.checkpoints.zero_shot import is_zero_shot
from exvad.encoders.loading import load_clip
from exvad.serving.deployments.analyst import AnalystDeployment
from exvad.serving.deployments.application import prepare_application
from exvad.serving.settings import ServerSettings
from tests.helpers.checkpoints import save_untrained_checkpoint

MEMORY = (
    '{"normal": {"street": ["people walk"]}, "incidents": {"Arson": ["a bin burns"]}, '
    '"origin": "me"}'
)
GATE = """
clip: {model: "package:clip"}
captioner: {model: "package:captioner"}
llm: {model: "package:llm", prompt: my.txt}
zero_shot: {memory: memory.json, explain: true}
"""


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@contextmanager
def running_analyst(*arguments: Any) -> Iterator[Any]:
    """Run an analyst in this process; yield it."""
    analyst = AnalystDeployment.func_or_class(*arguments)  # type: ignore[attr-defined]
    try:
        yield analyst
    finally:
        analyst._stopped.set()
        for thread in analyst._threads:
            thread.join(20)


def test_a_checkpoint_of_a_bucket_is_read_by_each_replica_and_leaves_nothing(
    tmp_path: Path, temporary: Path
) -> None:
    uri = save_untrained_checkpoint(tmp_path / "run/checkpoint").as_uri()
    settings, served = prepare_application(ServerSettings(checkpoint=uri, spool=tmp_path / "spool"))
    assert settings.checkpoint == uri
    assert served.zero_shot is None
    assert list(temporary.glob("exvad-*")) == []
    (tmp_path / "spool").mkdir()
    handles = dict.fromkeys(("Clip", "Captioner", "Explainer", "Decoder"))
    with running_analyst(settings, handles, served.zero_shot) as analyst:
        analyst.check_health()
        assert analyst._detector.classes == served.classes
    assert list(temporary.glob("exvad-*")) == []


def test_detection_without_training_needs_its_files_only_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"gate.yaml": GATE, "memory.json": MEMORY, "my.txt": "about {captions}"}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    given = ServerSettings(checkpoint="gate.yaml", spool=Path("spool"))
    settings, served = prepare_application(given)
    assert served.classes == ("Normal", "Arson")
    for name in files:
        (tmp_path / name).unlink()
    (tmp_path / "spool").mkdir()
    monkeypatch.chdir("/")
    clip = load_clip(served.config)

    def encode_texts(texts: list[str]) -> Any:
        return SimpleNamespace(result=lambda: clip.encode_texts(texts))

    handles: dict[str, Any] = dict.fromkeys(("Captioner", "Explainer", "Decoder"))
    handles["Clip"] = SimpleNamespace(encode_texts=SimpleNamespace(remote=encode_texts))
    with running_analyst(settings, handles, served.zero_shot) as analyst:
        assert is_zero_shot(analyst._detector.checkpoint)
        assert analyst._detector.classes == served.classes
        assert analyst._detector.config.llm.prompt == "my.txt\nabout {captions}"
