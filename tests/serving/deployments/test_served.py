"""The name of a checkpoint for clients reveals neither folders nor passwords of the server."""

from __future__ import annotations

import pytest

from exvad.serving.deployments.served import public_name


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("models:/exvad@champion", "models:/exvad@champion"),
        ("models:/exvad/3", "models:/exvad/3"),
        ("0123456789abcdef" * 2, "0123456789abcdef" * 2),
        ("/home/me/runs/mine/checkpoint", "mine/checkpoint"),
        ("s3://key:secret@bucket/runs/mine/checkpoint", "mine/checkpoint"),
        ("file:///home/me/runs/mine/checkpoint", "mine/checkpoint"),
        ("zero-shot", "zero-shot"),
    ],
)
def test_public_name_is_the_end_of_a_path_or_the_name_in_mlflow(reference: str, name: str) -> None:
    assert public_name(reference) == name
