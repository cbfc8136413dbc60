"""Models of every kind and backend: folders, packages, names of open_clip."""

from __future__ import annotations

from pathlib import Path

import pytest
from open_clip.constants import HF_SAFE_WEIGHTS_NAME

from exvad.config import load_config
from exvad.pipeline.preflight.models import (
    check_clip,
    check_transformers,
    model_checks,
    shipped_models_note,
)
from tests.helpers.hub import cache_repository, use_cache, use_hub
from tests.helpers.processes import free_port


def test_packaged_models_are_complete() -> None:
    findings = [
        check()
        for _, check in model_checks(load_config("demo"), ["clip", "captioner", "llm"], False)
    ]
    assert [finding.what for finding in findings] == ["clip.model", "captioner.model", "llm.model"]
    assert all(finding.ok for finding in findings)


def test_the_demos_models_are_named_where_other_videos_are_read() -> None:
    own = ["data.kind=manifest", "data.manifest=own.csv"]
    note = shipped_models_note(load_config("demo", own))
    assert note.startswith("captioner.model=package:captioner and llm.model=package:llm: ")
    assert "Arson" in note
    assert shipped_models_note(load_config("demo")) == ""
    real = ["captioner.model=Salesforce/blip2-opt-2.7b", "llm.backend=openai"]
    assert shipped_models_note(load_config("demo", [*own, *real])) == ""


def test_each_backend_has_its_checks() -> None:
    config = load_config("demo", ["captioner.backend=vllm", "llm.backend=openai"])
    names = [what for what, _ in model_checks(config, ["captioner", "llm"], False)]
    assert names == ["captioner.model", "captioner.engine", "llm.endpoint"]


@pytest.mark.parametrize("model", ["package:x", "/no/such/folder", "./no/such/folder"])
def test_missing_folder_is_named(model: str) -> None:
    for finding in (check_transformers("llm.model", model, "llm"), check_clip(model, "")):
        assert not finding.ok
        assert model in finding.detail


def test_folder_without_weights_names_them(tmp_path: Path) -> None:
    finding = check_transformers("captioner.model", str(tmp_path), "captioner")
    assert not finding.ok
    assert "weights are missing: model.safetensors" in finding.detail
    finding = check_clip(f"local-dir:{tmp_path}", "")
    assert not finding.ok
    assert "weights are missing: open_clip_model.safetensors" in finding.detail


def test_named_clip_must_exist_with_weights_of_its_activation() -> None:
    for name, tag, hint in (
        ("ViT-B-16-quikgelu", "openai", "did you mean ViT-B-16-quickgelu?"),
        ("ViT-B-16", "openai", "ViT-B-16-quickgelu"),
        ("ViT-B-16-quickgelu", "opena", "openai"),
        ("ViT-B-16-quickgelu", "", "openai"),
    ):
        finding = check_clip(name, tag)
        assert not finding.ok
        assert hint in finding.detail


def test_named_clip_is_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_cache(monkeypatch, tmp_path)
    use_hub(monkeypatch, f"http://127.0.0.1:{free_port()}")
    assert not check_clip("ViT-B-16-quickgelu", "openai").ok
    folder = cache_repository(tmp_path, "timm/vit_base_patch16_clip_224.openai")
    (folder / HF_SAFE_WEIGHTS_NAME).touch()
    assert check_clip("ViT-B-16-quickgelu", "openai").ok
