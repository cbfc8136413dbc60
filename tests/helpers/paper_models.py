"""The configurations of the paper's frozen models, without their weights."""

from __future__ import annotations

from transformers import Blip2Config, LlamaConfig, OPTConfig

LLAMA_8B = LlamaConfig(
    vocab_size=128256, hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
    num_attention_heads=32, num_key_value_heads=8, max_position_embeddings=131072,
    tie_word_embeddings=False, dtype="bfloat16",
)  # fmt: skip
OPT_2_7B = OPTConfig(
    vocab_size=50304, hidden_size=2560, ffn_dim=10240, num_hidden_layers=32,
    num_attention_heads=32, word_embed_proj_dim=2560,
)  # fmt: skip
BLIP_2 = Blip2Config(text_config=OPT_2_7B.to_dict())
