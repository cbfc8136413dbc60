"""Many trainings in one study, with tables: ablations, the paper's tables, other systems.

- `ablate.py`: variants of the settings; the paper's Tables 4 to 6 and Figure 4.
- `reproduce.py`: the whole protocol of a preset with several seeds.
- `compare.py`: other systems on the same features; `comparison_output.py` writes its results.
"""
