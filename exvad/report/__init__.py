"""HTML reports and drawings of analyses, runs, tables and sweeps."""
