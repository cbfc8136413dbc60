"""Labels as they come: how times of events are written, and the files of annotation tools.

`times.py` reads times, `clock.py` converts seconds and frames, `rows.py` settles spellings and
joins rows of one video. `formats.py` reads and writes the files of tools, one module per format.
"""
