"""docs/scale.md says what scripts/scale.py computes, and that follows from the assumptions."""

from __future__ import annotations

import pytest

from scripts.scale import (
    DOCUMENT,
    gpu_seconds,
    main,
    read_assumptions,
    stages,
    table,
    with_table,
)


def test_the_document_s_table_is_the_script_s_output() -> None:
    document = DOCUMENT.read_text()
    assert with_table(document, table(read_assumptions())) == document


def test_the_work_of_a_data_set_is_counted_right() -> None:
    given = read_assumptions()
    decode, clip, captions, explanations = stages(given, {"hours": 2, "videos": 3, "fps": 16})
    assert decode.items == 2 * 3600 * 16
    assert clip.items == 2 * 3600
    assert captions.items == 3 * 32
    assert explanations.items == 3
    assert decode.hours == pytest.approx(decode.items / 1460 / 3600)


def test_a_gpu_is_bound_by_arithmetic_where_it_reads_and_by_memory_where_it_writes() -> None:
    given = read_assumptions(
        ["gpu.tflops=1", "gpu.gb_per_second=1", "gpu.utilisation=0.5", "batch=2"]
    )
    # 2 operations · 1e9 parameters · 100 tokens at 0.5e12 per second
    assert gpu_seconds(given, 1000, 100, 0) == pytest.approx(0.4)
    # one step more: its arithmetic, and 2 GB at 0.5 GB/s for two items together
    assert gpu_seconds(given, 1000, 100, 1) == pytest.approx(0.404 + 2)


def test_a_faster_gpu_costs_fewer_hours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    slow = capsys.readouterr().out
    assert main(["gpu.tflops=140"]) == 0
    assert capsys.readouterr().out != slow


@pytest.mark.parametrize("wrong", ["gpu.tflop=3", "gpu=3", "nowhere.x=3", "gpu.tflops=fast"])
def test_an_assumption_that_is_not_there_is_refused(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([wrong])
    assert wrong in capsys.readouterr().err
