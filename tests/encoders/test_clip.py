"""CLIP's encoder beside transformers' own, with the same random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from exvad.encoders import cpu_precision
from exvad.encoders.clip import ClipEncoder, check_activation, open_clip_name
from exvad.encoders.model_files import ModelUnavailableError

WIDTH, LAYERS, FEATURES = 768, 2, 512  # ViT-B/16, but with fewer layers
TEXT_WIDTH = 512
CLOSE = 0.99998  # cosine; more than the other activation reaches
SIZES = [(320, 240), (455, 256), (240, 320), (224, 224), (640, 360)]


def transformers_clip() -> CLIPModel:
    """Return a CLIP of transformers with random weights and OpenAI's activation."""
    torch.manual_seed(0)
    heads = {"num_hidden_layers": LAYERS, "hidden_act": "quick_gelu"}
    config = CLIPConfig(
        text_config={
            "hidden_size": TEXT_WIDTH,
            "intermediate_size": 4 * TEXT_WIDTH,
            "num_attention_heads": 8,
            "eos_token_id": 49407,
            **heads,
        },
        vision_config={
            "hidden_size": WIDTH,
            "intermediate_size": 4 * WIDTH,
            "num_attention_heads": 12,
            "patch_size": 16,
            **heads,
        },
        projection_dim=FEATURES,
    )
    model = CLIPModel(config).eval()
    with torch.no_grad():
        # Large enough that the two activations differ, as they do in trained models.
        for name, weights in model.named_parameters():
            if ".mlp.fc" in name:
                weights.mul_(2 if ".fc1." in name else 20)
    return model


def open_clip_folder(model: CLIPModel, folder: Path, activation: bool = True) -> Path:
    """Write the weights of a CLIP of transformers as a folder of open_clip."""
    towers = {"vision_model": "visual.", "text_model": ""}
    weights: dict[str, torch.Tensor] = {
        "logit_scale": model.logit_scale.detach(),
        "visual.proj": model.visual_projection.weight.detach().T.contiguous(),
        "text_projection": model.text_projection.weight.detach().T.contiguous(),
    }
    source = model.state_dict()
    for tower, prefix in towers.items():
        for layer in range(LAYERS):
            old = f"{tower}.encoder.layers.{layer}"
            new = f"{prefix}transformer.resblocks.{layer}"
            for kind in ("weight", "bias"):
                weights[f"{new}.attn.in_proj_{kind}"] = torch.cat(
                    [source[f"{old}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
                )
                weights[f"{new}.attn.out_proj.{kind}"] = source[f"{old}.self_attn.out_proj.{kind}"]
                weights[f"{new}.ln_1.{kind}"] = source[f"{old}.layer_norm1.{kind}"]
                weights[f"{new}.ln_2.{kind}"] = source[f"{old}.layer_norm2.{kind}"]
                weights[f"{new}.mlp.c_fc.{kind}"] = source[f"{old}.mlp.fc1.{kind}"]
                weights[f"{new}.mlp.c_proj.{kind}"] = source[f"{old}.mlp.fc2.{kind}"]
    vision, text = "vision_model.", "text_model."
    names = {
        "visual.class_embedding": f"{vision}embeddings.class_embedding",
        "visual.conv1.weight": f"{vision}embeddings.patch_embedding.weight",
        "visual.positional_embedding": f"{vision}embeddings.position_embedding.weight",
        "token_embedding.weight": f"{text}embeddings.token_embedding.weight",
        "positional_embedding": f"{text}embeddings.position_embedding.weight",
    }
    for kind in ("weight", "bias"):
        names |= {
            f"visual.ln_pre.{kind}": f"{vision}pre_layrnorm.{kind}",
            f"visual.ln_post.{kind}": f"{vision}post_layernorm.{kind}",
            f"ln_final.{kind}": f"{text}final_layer_norm.{kind}",
        }
    weights |= {new: source[old] for new, old in names.items()}
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: tensor.contiguous().clone() for name, tensor in weights.items()}
    save_file(contiguous, folder / "open_clip_model.safetensors")
    config = {
        "model_cfg": {
            "embed_dim": FEATURES,
            "quick_gelu": activation,
            "vision_cfg": {"image_size": 224, "layers": LAYERS, "width": WIDTH, "patch_size": 16},
            "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": TEXT_WIDTH,
                         "heads": 8, "layers": LAYERS},
        },
        "preprocess_cfg": {
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bicubic", "resize_mode": "shortest",
        },
    }  # fmt: skip
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def reference() -> CLIPModel:
    return transformers_clip()


@pytest.fixture(scope="module")
def folder(reference: CLIPModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return open_clip_folder(reference, tmp_path_factory.mktemp("clip"))


@pytest.fixture(scope="module")
def encoder(folder: Path) -> ClipEncoder:
    return ClipEncoder(f"local-dir:{folder}", device="cpu", dtype="float32")


def frames(width: int, height: int) -> NDArray[np.uint8]:
    """Return two smooth RGB frames, [2, height, width, 3]."""
    coarse = np.random.default_rng(width).integers(0, 256, (2, 6, 8, 3), np.uint8)
    size = (width, height)
    return np.stack(
        [np.array(Image.fromarray(c).resize(size, Image.Resampling.BICUBIC)) for c in coarse]
    )


def cosines(left: NDArray[np.floating], right: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the cosine of each pair of rows."""
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    product: NDArray[np.floating] = (left * right).sum(1) / lengths
    return product


def reference_images(model: CLIPModel, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.floating]:
    """Return transformers' own features of raw frames."""
    pixels = CLIPImageProcessor()(images=list(frames_NHWC), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        features: Any = model.get_image_features(pixel_values=pixels)
    features = getattr(features, "pooler_output", features)
    return np.asarray(features)


@pytest.mark.parametrize("size", SIZES)
def test_clip_image_features_equal_transformers_from_raw_frames(
    reference: CLIPModel, encoder: ClipEncoder, size: tuple[int, int]
) -> None:
    ours = encoder.encode_images(frames(*size))
    assert cosines(ours, reference_images(reference, frames(*size))).min() > CLOSE


def test_clip_text_features_equal_transformers(reference: CLIPModel, encoder: ClipEncoder) -> None:
    texts = ["a person walks", "two people are fighting in a parking lot at night", "a " * 200]
    with torch.inference_mode():
        features: Any = reference.get_text_features(input_ids=encoder.tokenize(texts))
    features = getattr(features, "pooler_output", features)
    assert cosines(encoder.encode_texts(texts), np.asarray(features)).min() > CLOSE


def test_clip_with_another_activation_computes_other_features(
    reference: CLIPModel, tmp_path: Path
) -> None:
    wrong = open_clip_folder(reference, tmp_path / "gelu", activation=False)
    other = ClipEncoder(f"local-dir:{wrong}", device="cpu", dtype="float32")
    ours = other.encode_images(frames(320, 240))
    assert cosines(ours, reference_images(reference, frames(320, 240))).max() < CLOSE


@pytest.mark.parametrize(
    ("name", "pretrained", "right"),
    [
        ("ViT-B-16", "openai", "ViT-B-16-quickgelu"),
        ("ViT-B-16-quickgelu", "laion2b_s34b_b88k", "ViT-B-16"),
    ],
)
def test_clip_refuses_weights_of_another_activation(name: str, pretrained: str, right: str) -> None:
    with pytest.raises(ValueError, match=rf"set clip\.model={right}$"):
        check_activation(name, pretrained)
    check_activation(right, pretrained)


@pytest.mark.parametrize("works_ahead", [False, True])
def test_encode_groups_equals_encode_images_of_each_group(
    encoder: ClipEncoder, works_ahead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "works_ahead", works_ahead)
    monkeypatch.setattr(encoder, "batch_size", 3)
    groups = [frames(80, 60)[[0, 1, 0, 1, 1]], frames(60, 80), np.empty((0, 4, 6, 3), np.uint8)]
    groups[1].flags.writeable = False  # as in shared memory
    alone = [encoder.encode_images(group) for group in groups]
    assert [len(features) for features in alone] == [5, 2, 0]
    np.testing.assert_equal(list(encoder.encode_groups(iter(groups))), alone)


def test_encode_groups_raises_what_its_groups_raise(
    encoder: ClipEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoder, "works_ahead", True)

    def groups() -> Iterator[NDArray[np.uint8]]:
        yield frames(80, 60)
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        list(encoder.encode_groups(groups()))


@pytest.mark.parametrize("method", ["encode_image", "encode_text"])
def test_clip_halves_batches_that_do_not_fit_into_memory(
    encoder: ClipEncoder, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, sizes = getattr(encoder.network, method), []

    def small_memory(batch: torch.Tensor) -> torch.Tensor:
        sizes.append(len(batch))
        if len(batch) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        encoded: torch.Tensor = original(batch)
        return encoded

    inputs = frames(80, 60)[[0, 1, 1, 0, 1]] if method == "encode_image" else list("abcde")
    encode: Any = encoder.encode_images if method == "encode_image" else encoder.encode_texts
    whole = encode(inputs)
    monkeypatch.setattr(encoder.network, method, small_memory)
    np.testing.assert_allclose(encode(inputs), whole, rtol=1e-4, atol=1e-4)
    assert sizes == [5, 2, 3, 1, 2]


def test_clip_refuses_a_folder_without_weights(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    with pytest.raises(ModelUnavailableError, match="pretrained weights"):
        ClipEncoder(f"local-dir:{tmp_path}", device="cpu")


def test_clip_refuses_a_named_model_without_weights() -> None:
    with pytest.raises(ModelUnavailableError, match="pretrained weights"):
        ClipEncoder("ViT-B-16-quickgelu", "", device="cpu")


def test_open_clip_name_expands_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "clip").mkdir()
    assert open_clip_name("local-dir:~/clip") == f"local-dir:{tmp_path}/clip"
    assert open_clip_name("~/clip") == f"local-dir:{tmp_path}/clip"
    assert open_clip_name(str(tmp_path / "clip")) == f"local-dir:{tmp_path}/clip"
    assert open_clip_name("ViT-B-16-quickgelu") == "ViT-B-16-quickgelu"


@pytest.mark.parametrize("fast", [True, False])
def test_clip_auto_precision_is_half_only_where_the_processor_has_it(
    folder: Path, encoder: ClipEncoder, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr(cpu_precision, "has_fast_bfloat16", lambda: fast)
    auto = ClipEncoder(f"local-dir:{folder}", device="cpu")
    assert auto.dtype == (torch.bfloat16 if fast else torch.float32)
    ours, expected = auto.encode_images(frames(320, 240)), encoder.encode_images(frames(320, 240))
    assert ours.dtype == np.float32
    assert cosines(ours, expected).min() > 0.999


def test_clip_auto_precision_of_a_small_model_is_full() -> None:
    encoder = ClipEncoder("package:clip", device="cpu")
    assert encoder.dtype == torch.float32


@pytest.mark.parametrize("pretrained", ["", "openai"])
def test_encoder_names_a_folder_that_does_not_exist(tmp_path: Path, pretrained: str) -> None:
    with pytest.raises(ModelUnavailableError, match=r"can't load model 'local-dir:.*missing'"):
        ClipEncoder(f"local-dir:{tmp_path}/missing", pretrained, device="cpu")
