"""Detection without training: a memory of described scenes, and frames that are matched to it.

The method follows Flashback (Lee et al., arXiv 2505.15205), with CLIP as the encoder.
`scene_memory.py` holds the scenes, `encoding.py` their text features, `matching.py` scores
snippets, `reason.py` words the answer, and `writing.py` lets a language model write a memory.
"""
