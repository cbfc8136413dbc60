"""docs/scale.md holds what scripts/scale.py computes, and that follows from the assumptions."""

from __future__ import annotations

import pytest

from scripts.scale import (
    DOCUMENT,
    gpu_seconds,
    main,
    make_table,
    plan_steps,
    read_assumptions,
    replace_table,
)


def test_document_holds_the_table_of_the_script() -> None:
    document = DOCUMENT.read_text()
    assert replace_table(document, make_table(read_assumptions())) == document


def test_replace_table_refuses_a_document_without_marks() -> None:
    with pytest.raises(ValueError, match="lacks the marks"):
        replace_table("no marks", "table")


def test_plan_steps_counts_the_items_of_each_step() -> None:
    dataset = {"hours": 2, "videos": 3, "fps": 16}
    decode, clip, captions, explanations = plan_steps(read_assumptions(), dataset)
    assert decode.items == 2 * 3600 * 16
    assert clip.items == 2 * 3600
    assert captions.items == 3 * 32
    assert explanations.items == 3
    assert decode.hours == pytest.approx(decode.items / 1460 / 3600)


def test_gpu_seconds_are_limited_by_arithmetic_when_reading_and_memory_when_writing() -> None:
    assumptions = read_assumptions(
        ["gpu.tflops=1", "gpu.gb_per_second=1", "gpu.utilisation=0.5", "batch=2"]
    )
    # 2 operations · 1e9 parameters · 100 tokens at 0.5e12 per second
    assert gpu_seconds(assumptions, 1000, 100, 0) == pytest.approx(0.4)
    # one more step: its arithmetic, and 2 GB at 0.5 GB/s for two items together
    assert gpu_seconds(assumptions, 1000, 100, 1) == pytest.approx(0.404 + 2)


def test_faster_gpu_changes_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    slow = capsys.readouterr().out
    assert main(["gpu.tflops=140"]) == 0
    assert capsys.readouterr().out != slow


@pytest.mark.parametrize("wrong", ["gpu.tflop=3", "gpu=3", "nowhere.x=3", "gpu.tflops=fast"])
def test_unknown_assumption_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([wrong])
    assert wrong in capsys.readouterr().err
