"""Verbs that train many times and compare: ablations, the paper's tables, other systems."""
