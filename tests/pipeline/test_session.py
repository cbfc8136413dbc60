"""The output of Ray is hidden while it starts, and nothing else."""

from __future__ import annotations

import os

import pytest

from exvad.pipeline.session import ray_output_hidden


def test_output_is_hidden_inside_the_block_and_restored_after_it(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with ray_output_hidden():
        os.write(1, b"hidden")
        os.write(2, b"hidden")
    os.write(1, b"shown")
    os.write(2, b"shown")
    captured = capfd.readouterr()
    assert (captured.out, captured.err) == ("shown", "shown")


def test_output_is_restored_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="failed"), ray_output_hidden():
        raise ValueError("failed")
    os.write(1, b"shown")
    assert capfd.readouterr().out == "shown"
