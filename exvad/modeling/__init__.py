"""The trained network, one file per box of the paper's Figure 2; `exvad.py` wires them.

Knows torch and nothing else of exvad: features come in, logits and the alignment map go out.
"""

from __future__ import annotations

from exvad.modeling.exvad import ExVAD, Output, build_exvad

__all__ = ["ExVAD", "Output", "build_exvad"]
