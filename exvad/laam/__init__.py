"""LAAM, the label augmentation and alignment module of Figure 2 (paper, section 3.4).

- `phrases.py`: class names → m phrases per class, written by a language model.
- `top_phrases.py`: the k phrases nearest to their label, and the embedding of both (equation 6).
- `label_vectors.py`: class names and phrases → label embeddings F_L.
- `run_labels.py`: the phrases and vectors of one run, encoded by CLIP or imported as arrays.

The trained half of LAAM, M = ⟨F_F, F_L⟩ and the label adapter, is `exvad/modeling/alignment.py`.
"""
