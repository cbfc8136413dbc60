"""Models of the hub: cached, reachable, gated, unknown, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from exvad.encoders.model_files import resolve_model
from exvad.pipeline.preflight.hub import check_repository, check_weights_file
from tests.helpers.hub import cache_repository, fake_hub, use_cache, use_hub
from tests.helpers.processes import free_port


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub; it is empty."""
    use_cache(monkeypatch, tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A hub with a small, a huge and a gated model."""
    repositories: dict[str, object] = {"a/small": 100, "a/huge": 10**18, "a/gated": "GatedRepo"}
    with fake_hub(monkeypatch, repositories) as url:
        yield url


def test_gated_model_names_the_licence_page_and_where_the_token_goes(hub: str) -> None:
    finding = check_repository("llm.model", "a/gated", "llm")
    assert not finding.ok
    for part in (f"{hub}/a/gated", "licence", "HF_TOKEN", "hf auth login"):
        assert part in finding.detail


def test_unknown_model_is_refused(hub: str) -> None:
    finding = check_repository("llm.model", "a/typo", "llm")
    assert not finding.ok
    assert "has no such model" in finding.detail


def test_reachable_model_is_downloaded_later_if_there_is_room(hub: str) -> None:
    assert check_repository("llm.model", "a/small", "llm").ok
    finding = check_repository("llm.model", "a/huge", "llm")
    assert not finding.ok
    assert "make room" in finding.detail
    assert "HF_HOME" in finding.detail


def test_hub_without_a_network_needs_a_complete_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_hub(monkeypatch, f"http://127.0.0.1:{free_port()}")
    finding = check_repository("llm.model", "a/llm", "llm")
    assert not finding.ok
    assert "can't be reached (Connection refused): allow network access" in finding.detail
    assert finding.problem.endswith("can't be reached (Connection refused)")
    folder = cache_repository(cache, "a/llm")
    shutil.copytree(resolve_model("package:llm"), folder, dirs_exist_ok=True)
    assert check_repository("llm.model", "a/llm", "llm").ok
    (folder / "model.safetensors").unlink()
    finding = check_repository("llm.model", "a/llm", "llm")
    assert not finding.ok
    assert "weights are missing: model.safetensors" in finding.detail


def test_offline_mode_is_respected(hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    finding = check_repository("llm.model", "a/small", "llm")
    assert not finding.ok
    assert "HF_HUB_OFFLINE" in finding.detail


def test_name_that_no_hub_can_have_is_a_missing_folder() -> None:
    finding = check_repository("llm.model", "models/of/mine", "llm")
    assert not finding.ok
    assert "no such folder" in finding.detail


def test_weights_file_may_be_cached_under_any_of_its_names(cache: Path, hub: str) -> None:
    folder = cache_repository(cache, "b/clip")
    assert not check_weights_file("clip.model", "b/clip", ["x.safetensors", "x.bin"]).ok
    (folder / "x.bin").touch()
    assert check_weights_file("clip.model", "b/clip", ["x.safetensors", "x.bin"]).ok
