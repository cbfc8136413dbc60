"""MADM, the multimodal anomaly detection module of Figure 2 (paper, section 3.3).

- `lgt_adapter.py`: F_V = LGT-Adapter(F_I) (equation 4).
- `fusion.py`: F_V and F_T → fused features F_F.
- `classifier.py`: s = sigmoid(FC(FFN(F_F) + F_F)), the coarse score of every snippet (equation 5).
"""
