"""Generators of the documentation's reference pages and diagrams, run while MkDocs builds."""
