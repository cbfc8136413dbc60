"""Tiny captioners without a chat template: BLIP-2, BLIP and GIT, of real classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.helpers.vision_models import CORPUS, SMALL_IMAGE, VISION, train_bpe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def _blip_images() -> Any:
    from transformers import BlipImageProcessor

    return BlipImageProcessor(size=SMALL_IMAGE)


def _blip2(folder: Path, text_config: Any, tokenizer: Any) -> PreTrainedModel:
    """Write a processor as newer versions of transformers do, and return a BLIP-2."""
    from transformers import Blip2Config, Blip2ForConditionalGeneration, Blip2Processor

    processor = Blip2Processor(_blip_images(), tokenizer, num_query_tokens=3)
    processor.save_pretrained(folder)
    config = Blip2Config(
        vision_config=VISION,
        qformer_config={**LAYERS, "intermediate_size": 32, "encoder_hidden_size": 32},
        text_config=text_config,
        num_query_tokens=3,
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return Blip2ForConditionalGeneration(config)


def blip2_opt(folder: Path) -> PreTrainedModel:
    """Build a tiny BLIP-2 with OPT, whose tokenizer adds only the begin token."""
    from tokenizers import processors
    from transformers import OPTConfig, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(["<pad>", "</s>", "<unk>"]),
        bos_token="</s>",
        eos_token="</s>",
        pad_token="<pad>",
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="</s> $A", special_tokens=[("</s>", 1)]
    )
    text = OPTConfig(
        **LAYERS, ffn_dim=32, word_embed_proj_dim=32, max_position_embeddings=64,
        vocab_size=len(tokenizer) + 1, bos_token_id=1, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    return _blip2(folder, text, tokenizer)


def blip2_t5(folder: Path) -> PreTrainedModel:
    """Build a tiny BLIP-2 with Flan-T5, which encodes the prompt and has no begin token."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast, T5Config

    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(["<pad>", "</s>", "<unk>"]),
        eos_token="</s>",
        pad_token="<pad>",
    )
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    text = T5Config(
        d_model=32, d_kv=16, d_ff=32, num_layers=2, num_heads=2, vocab_size=len(tokenizer) + 1,
        decoder_start_token_id=0,
    )  # fmt: skip
    return _blip2(folder, text, tokenizer)


def bert_tokenizer() -> Any:
    """Return a lower-casing tokenizer of BERT with `[DEC]`, the begin token of BLIP."""
    from transformers import BertTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]"]
    words = sorted({word for text in CORPUS for word in text.lower().replace(".", "").split()})
    vocabulary = {token: index for index, token in enumerate([*special, *words])}
    return BertTokenizerFast(vocab=vocabulary, bos_token="[DEC]")


def blip(folder: Path) -> PreTrainedModel:
    """Build a tiny BLIP, which drops the last token of a prompt and replaces the first."""
    from transformers import BlipConfig, BlipForConditionalGeneration, BlipProcessor

    tokenizer = bert_tokenizer()
    BlipProcessor(_blip_images(), tokenizer).save_pretrained(folder)
    config = BlipConfig(
        text_config={
            **LAYERS, "intermediate_size": 32, "encoder_hidden_size": 32, "projection_dim": 32,
            "vocab_size": len(tokenizer), "bos_token_id": 5, "sep_token_id": 3, "pad_token_id": 0,
            "eos_token_id": 3,
        },
        vision_config={**VISION, "initializer_range": 0.02},  # 1e-10 by default: it sees nothing
    )  # fmt: skip
    return BlipForConditionalGeneration(config)


def git(folder: Path) -> PreTrainedModel:
    """Build a tiny GIT, which continues the prompt up to its end token."""
    from transformers import CLIPImageProcessor, GitConfig, GitForCausalLM, GitProcessor

    tokenizer = bert_tokenizer()
    images = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=SMALL_IMAGE)
    GitProcessor(images, tokenizer).save_pretrained(folder)
    config = GitConfig(
        vision_config=VISION, **LAYERS, intermediate_size=32, vocab_size=len(tokenizer),
        bos_token_id=2, eos_token_id=3, pad_token_id=0,
    )  # fmt: skip
    return GitForCausalLM(config)
