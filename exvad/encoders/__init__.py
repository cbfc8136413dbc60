"""The frozen foundation models of Figure 2, behind small protocols.

- `protocols.py`: what the rest of exvad needs of a model (exported by this package).
- `loading.py`: a configuration → its models.
- `clip.py`: image encoder E_I and text encoder E_T (equations 2 and 6, features F_I, F_T and F_L).
- `captioners/`: captioner Φ_C (equation 1), by transformers, an engine or an endpoint.
- `llm.py`: language model Φ_LLM (equation 3) in this process, by transformers.
- `engine.py`: Φ_C and Φ_LLM in this process, by vLLM.
- `endpoint/`: Φ_C and Φ_LLM behind an OpenAI-compatible HTTP endpoint.
- `answers.py`, `chat.py`: what language models are asked and what they answer.
- `image_preprocessing.py`: frames → the input of CLIP.
- `devices.py`, `cpu_precision.py`, `memory_needs.py`, `batching.py`: where and how models run.
- `model_files.py`, `vectors.py`: helpers that the models share.
"""

from exvad.encoders.protocols import (
    Captioner,
    ImageTextEncoder,
    LanguageModel,
    Models,
    StreamingLanguageModel,
)

__all__ = ["Captioner", "ImageTextEncoder", "LanguageModel", "Models", "StreamingLanguageModel"]
