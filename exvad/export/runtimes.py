"""ONNX Runtime and OpenVINO, which run exported files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from exvad.export.graphs import ExportError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Format = Literal["onnx", "openvino"]
Arrays = Mapping[str, "NDArray[Any]"]
Run = Callable[[Arrays], dict[str, "NDArray[np.float32]"]]

SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "openvino": ".xml"}
PACKAGES: dict[Format, tuple[str, ...]] = {
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("onnx", "onnxscript", "openvino"),
}


def require_packages(file_format: Format) -> None:
    """Check that the packages that write and check a format are installed.

    Raises:
        ExportError: some are not.
    """
    missing = [name for name in PACKAGES[file_format] if find_spec(name) is None]
    if missing:
        raise ExportError(
            f"an export to {file_format} needs {' and '.join(missing)}, not installed here: "
            "run pip install 'exvad[export]'"
        )


def convert_to_openvino(onnx: Path, path: Path) -> None:
    """Write an ONNX file as OpenVINO's pair of files: PATH and the weights beside it, in float32.

    Args:
        onnx: the ONNX file.
        path: the new file, with the suffix .xml.
    """
    import openvino

    openvino.save_model(openvino.Core().read_model(onnx), path, compress_to_fp16=False)


def open_runtime(path: Path, threads: int = 0) -> Run:
    """Load an exported file for the CPU, computing in float32.

    Args:
        path: a file with the suffix .onnx or .xml.
        threads: threads of a run; 0 for the runtime's own choice.

    Returns:
        A function from arrays by the name of the input to arrays by the name of the output.
    """
    return _open_openvino(path, threads) if path.suffix == ".xml" else _open_onnx(path, threads)


def _open_onnx(path: Path, threads: int) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
        return dict(zip(names, session.run(names, dict(arrays)), strict=True))

    return run


def _open_openvino(path: Path, threads: int) -> Run:
    import openvino

    # OpenVINO's own choice is bfloat16 where the processor has it: about two digits.
    settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        settings["INFERENCE_NUM_THREADS"] = threads
    model = openvino.Core().compile_model(path, "CPU", settings)
    names = [output.get_any_name() for output in model.outputs]

    def run(arrays: Arrays) -> dict[str, NDArray[np.float32]]:
        answer = model(dict(arrays))
        return {name: answer[index] for index, name in enumerate(names)}

    return run
