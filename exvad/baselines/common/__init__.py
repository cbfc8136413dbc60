"""What all baselines share: the protocol of a system, batches, training, scores, and class maps.

- `system.py`: what a system is: its input, its recipe, its loss and its output.
- `sampling.py`: videos → batches, by the length and batch rules of a recipe.
- `fitting.py`: gradient steps.
- `prediction.py`: scores and class maps of whole videos.
- `class_maps.py`: the named ways to a class map, F0 to F3.
- `refinement.py`, `smoothing.py`: scores by similar moments and by neighbours in time.
- `selection.py`, `graphs.py`: parts of several systems.
"""
