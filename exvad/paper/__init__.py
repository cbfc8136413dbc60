"""The paper's tables: its own figures, quoted, and the plan of its ablations."""
