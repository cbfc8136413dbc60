"""Frozen foundation models behind small protocols: CLIP, captioner, language model."""

from exvad.encoders.protocols import Captioner, ImageTextEncoder, LanguageModel, Models, Writer

__all__ = ["Captioner", "ImageTextEncoder", "LanguageModel", "Models", "Writer"]
