"""The index of a store: what its stages hold, and the files that say so."""
