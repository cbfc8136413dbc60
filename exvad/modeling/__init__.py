"""The trained network of Figure 2, one file per box; it imports torch and nothing else of exvad.

Image features F_I, a text feature F_T and label embeddings F_L go in; anomaly scores s and the
alignment map M come out.

- `madm/`: coarse-grained detection (paper, section 3.3): adapter, fusion and classifier.

LAAM, its trained half (paper, section 3.4; label embeddings are made in `exvad/laam/`):

- `alignment.py`: M = ⟨F_F, F_L⟩, and the label adapter.

All together:

- `exvad.py`: the whole network, `build_exvad` with its sizes, and scores from its output.
- `losses.py`: the losses (paper, section 3.5; equations 7 to 11).
- `inputs.py`, `feed_forward.py`, `cosine.py`: layers that several boxes share.
- `evidence.py`: the votes of the captions beside grounded text, which the paper does not have.
"""

from __future__ import annotations

from exvad.modeling.exvad import ExVAD, Output, build_exvad

__all__ = ["ExVAD", "Output", "build_exvad"]
