"""The files of frozen models."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exvad.encoders.model_files import (
    ModelKind,
    ModelUnavailableError,
    find_file_problems,
    resolve_model,
)

KINDS: tuple[ModelKind, ...] = ("clip", "captioner", "llm")


def test_resolve_model_keeps_hub_names_and_expands_folders() -> None:
    assert resolve_model("Salesforce/blip2-opt-2.7b") == "Salesforce/blip2-opt-2.7b"
    assert resolve_model("~/models") == str(Path("~/models").expanduser())


@pytest.mark.parametrize("name", ["clip", "captioner", "llm"])
def test_resolve_model_finds_packaged_weights(name: str) -> None:
    assert Path(resolve_model(f"package:{name}")).is_dir()


def test_resolve_model_lists_the_packaged_weights_for_an_unknown_name() -> None:
    with pytest.raises(ValueError, match=r"no model 'package:x' .* captioner, clip, llm"):
        resolve_model("package:x")


def test_model_unavailable_error_names_the_model_and_the_first_line_of_the_cause() -> None:
    error = ModelUnavailableError("x", OSError("not found\nlong trace"))
    assert str(error).startswith("can't load model 'x' (OSError: not found). ")


def copy_model(kind: ModelKind, folder: Path) -> Path:
    """Copy the packaged model of a kind into a folder."""
    shutil.copytree(resolve_model(f"package:{kind}"), folder / kind)
    return folder / kind


@pytest.mark.parametrize("kind", KINDS)
def test_find_file_problems_accepts_the_packaged_models(kind: ModelKind) -> None:
    assert find_file_problems(Path(resolve_model(f"package:{kind}")), kind) == []


@pytest.mark.parametrize("kind", KINDS)
def test_find_file_problems_names_each_missing_file(kind: ModelKind, tmp_path: Path) -> None:
    problems = " ".join(find_file_problems(tmp_path, kind))
    config, weights = "config.json", "model.safetensors"
    if kind == "clip":
        config, weights = f"open_clip_{config}", f"open_clip_{weights}"
    assert f"{config} is missing" in problems
    assert f"weights are missing: {weights}" in problems
    assert ("tokenizer.json" in problems) == (kind != "clip")
    assert ("preprocessor_config.json" in problems) == (kind == "captioner")


def test_find_file_problems_needs_the_tokenizer_that_a_clip_names(tmp_path: Path) -> None:
    folder = copy_model("clip", tmp_path)
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert find_file_problems(folder, "clip") == [
        "tokenizer.json (or tokenizer.model, vocab.json) is missing"
    ]


def test_find_file_problems_names_the_shards_that_an_index_names(tmp_path: Path) -> None:
    folder = copy_model("llm", tmp_path)
    (folder / "model.safetensors").rename(folder / "model-00001-of-00003.safetensors")
    index = {"weight_map": {str(n): f"model-0000{n}-of-00003.safetensors" for n in (1, 2, 3)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert find_file_problems(folder, "llm") == [
        "weights are missing, which model.safetensors.index.json names: "
        "model-00002-of-00003.safetensors, model-00003-of-00003.safetensors"
    ]


def test_find_file_problems_reads_the_heads_of_the_weights(tmp_path: Path) -> None:
    weights = copy_model("llm", tmp_path) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (problem,) = find_file_problems(weights.parent, "llm")
    assert "model.safetensors can't be read" in problem
    weights.write_text("version https://git-lfs.github.com/spec/v1")
    (problem,) = find_file_problems(weights.parent, "llm")
    assert "git lfs pull" in problem


def test_find_file_problems_parses_configuration_and_tokenizer(tmp_path: Path) -> None:
    folder = copy_model("llm", tmp_path)
    (folder / "config.json").write_text("{")
    (folder / "tokenizer.json").write_text("[]")
    problems = find_file_problems(folder, "llm")
    assert problems[0].startswith("config.json can't be read")
    assert problems[1] == "tokenizer.json holds no JSON object"
