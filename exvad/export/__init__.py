"""Trained detectors as files that programs without exvad and torch run, on CPUs and edge devices.

- `graphs.py`: the two parts, CLIP's image encoder and the trained network, as modules with plain
  inputs and outputs, and their ONNX files.
- `runtimes.py`: the programs that run such files, ONNX Runtime and OpenVINO.
- `agreement.py`: how far the answers of a file are from those of torch.
- `description.py`: export.json, with everything else that a program needs.
- `folder.py`: all of it → the folder of an export.
"""
