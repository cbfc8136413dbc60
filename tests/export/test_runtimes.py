"""Missing packages are named in one sentence, before anything is computed."""

from __future__ import annotations

import sys

import pytest

from exvad.export.graphs import ExportError
from exvad.export.runtimes import Format, require_packages


@pytest.mark.parametrize(
    ("file_format", "missing", "named"),
    [
        ("onnx", ["onnx"], "onnx"),
        ("onnx", ["onnxscript", "onnxruntime"], "onnxscript and onnxruntime"),
        ("openvino", ["openvino", "onnxruntime"], "openvino"),
    ],
)
def test_require_packages_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, file_format: Format, missing: list[str], named: str
) -> None:
    require_packages(file_format)
    for name in missing:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ExportError) as error:
        require_packages(file_format)
    assert str(error.value) == (
        f"an export to {file_format} needs {named}, not installed here: "
        "run pip install 'exvad[export]'"
    )
