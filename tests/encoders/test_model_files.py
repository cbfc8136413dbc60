"""The files of frozen models."""

from __future__ import annotations

from pathlib import Path

import pytest

from exvad.encoders.model_files import ModelUnavailableError, resolve_model


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
