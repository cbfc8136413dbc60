"""Training of the demo's three small models: CLIP, captioner and language model."""
