"""LAAM (paper 3.4): class names → phrases → label embeddings F_L."""
