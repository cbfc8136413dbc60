"""Tiny captioners of real classes: random weights, real special tokens, tokenizers trained here.

Each builder writes the processor of a model into a folder and returns the model, whose weights are
random. The chat templates are those of the families, without system messages and videos.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedModel

CORPUS = [
    "Describe in one sentence what happens in this picture.",
    "a person walks down a street at night",
    "User: Assistant: user assistant model Question: what happens? Answer: it is",
]
TEXT = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
VISION = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": 28,
    "patch_size": 7,
}
SMALL_IMAGE = {"height": 28, "width": 28}
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}IMAGE"
    "{% elif content['type'] == 'text' %}{{ content['text'] }}{% endif %}{% endfor %}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% for content in message['content'] %}{% if content['type'] == 'image' %}<start_of_image>"
    "{% else %}{{ content['text'] | trim }}{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}"
    "{% if message['content'][0]['type'] == 'image' %}{{ ':' }}{% else %}{{ ': ' }}{% endif %}"
    "{% for line in message['content'] %}{% if line['type'] == 'text' %}{{ line['text'] }}"
    "{% else %}{{ '<image>' }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
LLAVA_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + ' ' }}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}"
    "{{ '<image>' }}{% endfor %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ '\n' + content['text'] }}{% endfor %}{{ '<|im_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def train_bpe(special: Sequence[str]) -> Tokenizer:
    """Train a byte-level tokenizer whose first tokens are special ones."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS * 3, trainer)
    return tokenizer


def qwen_tokenizer(special: Sequence[str], **options: Any) -> Any:
    """Return a tokenizer of Qwen 2 with these special tokens after its own three."""
    from transformers import Qwen2TokenizerFast

    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *special]
    return Qwen2TokenizerFast(
        tokenizer_object=train_bpe(names),
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=names,
        **options,
    )


def _qwen_vl_tokens() -> tuple[Any, str, dict[str, int]]:
    """Return tokenizer, template and token ids of the configuration of a Qwen-VL model."""
    marks = {"vision_start": "<|vision_start|>", "vision_end": "<|vision_end|>"}
    pads = {"image": "<|image_pad|>", "video": "<|video_pad|>"}
    tokenizer = qwen_tokenizer([*marks.values(), *pads.values()])
    template = CHATML.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(token)
        for name, token in {**marks, **pads}.items()
    }
    return tokenizer, template, ids


def qwen2_5_vl(folder: Path) -> PreTrainedModel:
    """Build a tiny Qwen2.5-VL."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer, template, ids = _qwen_vl_tokens()
    images = Qwen2VLImageProcessor(min_pixels=28 * 28 * 4, max_pixels=28 * 28 * 16)
    Qwen2_5_VLProcessor(
        images, tokenizer, Qwen2VLVideoProcessor(), chat_template=template
    ).save_pretrained(folder)
    rope = {"type": "mrope", "mrope_section": [2, 3, 3]}
    config = Qwen2_5_VLConfig(
        text_config={
            **TEXT, "vocab_size": len(tokenizer), "rope_scaling": rope, "rope_theta": 1e4,
            "tie_word_embeddings": False,
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": 64, "fullatt_block_indexes": [1],
        },
        **ids,
    )  # fmt: skip
    return Qwen2_5_VLForConditionalGeneration(config)


def qwen3_vl(folder: Path) -> PreTrainedModel:
    """Build a tiny Qwen3-VL."""
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer, template, ids = _qwen_vl_tokens()
    size = {"shortest_edge": 32 * 32 * 4, "longest_edge": 32 * 32 * 16}
    images = Qwen2VLImageProcessor(patch_size=16, size=size)
    Qwen3VLProcessor(
        images, tokenizer, Qwen3VLVideoProcessor(), chat_template=template
    ).save_pretrained(folder)
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "mrope_interleaved": True}
    config = Qwen3VLConfig(
        text_config={
            **TEXT, "head_dim": 16, "vocab_size": len(tokenizer), "rope_scaling": rope,
            "rope_theta": 1e4,
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2,
            "out_hidden_size": 64, "deepstack_visual_indexes": [0], "num_position_embeddings": 256,
        },
        **ids,
    )  # fmt: skip
    return Qwen3VLForConditionalGeneration(config)


def gemma3(folder: Path) -> PreTrainedModel:
    """Build a tiny Gemma 3, whose template writes the begin token and whose tokenizer adds one."""
    from tokenizers import processors
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        GemmaTokenizerFast,
    )

    image_tokens = {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
    turns = ["<start_of_turn>", "<end_of_turn>", *image_tokens.values()]
    tokenizer = GemmaTokenizerFast(
        tokenizer_object=train_bpe(["<pad>", "<eos>", "<bos>", "<unk>", *turns]),
        additional_special_tokens=turns,
        extra_special_tokens=image_tokens,
        **image_tokens,
    )
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in ("<bos>", "<pad>", *turns)}
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", ids["<bos>"])]
    )
    Gemma3Processor(
        Gemma3ImageProcessor(size=SMALL_IMAGE),
        tokenizer,
        chat_template=GEMMA_TEMPLATE,
        image_seq_length=4,
    ).save_pretrained(folder)
    config = Gemma3Config(
        text_config={
            **TEXT, "head_dim": 16, "vocab_size": len(tokenizer), "bos_token_id": ids["<bos>"],
            "eos_token_id": ids["<end_of_turn>"], "pad_token_id": ids["<pad>"],
        },
        vision_config=VISION,
        mm_tokens_per_image=4,
        boi_token_index=ids["<start_of_image>"],
        eoi_token_index=ids["<end_of_image>"],
        image_token_index=ids["<image_soft_token>"],
    )  # fmt: skip
    network = Gemma3ForConditionalGeneration(config)
    # These weights are zero before training, and no answer would depend on the frame.
    network.model.multi_modal_projector.mm_input_projection_weight.data.normal_(0, 0.02)
    return network


def smolvlm(folder: Path) -> PreTrainedModel:
    """Build a tiny SmolVLM."""
    from transformers import (
        PreTrainedTokenizerFast,
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    image_tokens = {
        "image_token": "<image>",
        "fake_image_token": "<fake_token_around_image>",
        "global_image_token": "<global-img>",
        "end_of_utterance_token": "<end_of_utterance>",
    }
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 5) for column in range(1, 5)]
    names = ["<|endoftext|>", "<|im_start|>", *image_tokens.values(), *tiles]
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=train_bpe(names),
        bos_token="<|im_start|>",
        eos_token="<end_of_utterance>",
        pad_token="<|endoftext|>",
        additional_special_tokens=names[2:],
        extra_special_tokens=image_tokens,
    )
    images = SmolVLMImageProcessor(
        size={"longest_edge": 64}, max_image_size={"longest_edge": 64}, do_image_splitting=False
    )
    # The model demands that the number of image tokens is divisible by the patch size.
    SmolVLMProcessor(
        images,
        tokenizer,
        SmolVLMVideoProcessor(),
        image_seq_len=16,
        chat_template=SMOLVLM_TEMPLATE,
    ).save_pretrained(folder)
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in names}
    config = SmolVLMConfig(
        text_config={
            **TEXT, "model_type": "llama", "vocab_size": len(tokenizer),
            "pad_token_id": ids["<|endoftext|>"], "bos_token_id": ids["<|im_start|>"],
            "eos_token_id": ids["<end_of_utterance>"],
        },
        vision_config={**VISION, "image_size": 64, "patch_size": 8},
        scale_factor=2,
        image_token_id=ids["<image>"],
    )  # fmt: skip
    return SmolVLMForConditionalGeneration(config)


def llava_onevision(folder: Path) -> PreTrainedModel:
    """Build a tiny LLaVA-OneVision."""
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    tokenizer = qwen_tokenizer(["<image>", "<video>"])
    tiles = [[28, 28], [28, 56], [56, 28], [56, 56]]
    LlavaOnevisionProcessor(
        LlavaOnevisionImageProcessor(size=SMALL_IMAGE, image_grid_pinpoints=tiles),
        tokenizer,
        LlavaOnevisionVideoProcessor(size=SMALL_IMAGE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=LLAVA_TEMPLATE,
        vision_aspect_ratio="anyres_max_9",
    ).save_pretrained(folder)
    config = LlavaOnevisionConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={**VISION, "model_type": "siglip_vision_model", "vision_use_head": False},
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=tiles,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )
    return LlavaOnevisionForConditionalGeneration(config)


def internvl(folder: Path) -> PreTrainedModel:
    """Build a tiny InternVL."""
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    image_tokens = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
    tokenizer = qwen_tokenizer([*image_tokens.values()], extra_special_tokens=image_tokens)
    InternVLProcessor(
        GotOcr2ImageProcessor(size=SMALL_IMAGE, crop_to_patches=False),
        tokenizer,
        InternVLVideoProcessor(size=SMALL_IMAGE),
        image_seq_length=4,
        chat_template=CHATML.replace("IMAGE", "{{ '<IMG_CONTEXT>\n' }}"),
    ).save_pretrained(folder)
    config = InternVLConfig(
        text_config={**TEXT, "model_type": "qwen2", "vocab_size": len(tokenizer)},
        vision_config={
            **VISION, "model_type": "internvl_vision", "image_size": [28, 28], "patch_size": [7, 7],
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
        downsample_ratio=0.5,
    )  # fmt: skip
    return InternVLForConditionalGeneration(config)


CHAT_FAMILIES: dict[str, Callable[[Path], PreTrainedModel]] = {
    builder.__name__: builder
    for builder in (qwen2_5_vl, qwen3_vl, gemma3, smolvlm, llava_onevision, internvl)
}


def write_model(folder: Path, builder: Callable[[Path], PreTrainedModel]) -> str:
    """Write a model with its processor into a folder, always the same; return the folder.

    The weights are larger than those that training starts from, so that answers depend on the
    whole input. Answers consist of letters and do not end before their maximum length.
    """
    import torch
    from transformers import AutoTokenizer

    torch.manual_seed(0)
    network = builder(folder)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    special = set(tokenizer.all_special_ids)
    network.generation_config.suppress_tokens = [
        token
        for token in range(len(tokenizer))
        if token in special or not tokenizer.decode([token]).strip().isalpha()
    ]
    network.save_pretrained(folder)
    return str(folder)


def edit_json(path: Path, **changes: Any) -> None:
    """Change the fields of a JSON file; None removes one."""
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(
        json.dumps({name: value for name, value in values.items() if value is not None})
    )
