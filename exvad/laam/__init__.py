"""LAAM, the label augmentation and alignment module of Figure 2 (paper, section 3.4).

- `phrases.py`: class names → m phrases per class, written by a language model.
- `label_vectors.py`: class names and phrases → label embeddings F_L, with the k nearest phrases
  (equation 6).
- `run_labels.py`: the phrases and vectors of one run, encoded by CLIP or imported as arrays.

The trained half of LAAM, M = ⟨F_F, F_L⟩ and the label adapter, is `exvad/modeling/alignment.py`.
"""
