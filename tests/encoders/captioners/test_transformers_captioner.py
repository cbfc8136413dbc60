"""The captioner by transformers: the packaged model, and random models of the real classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exvad.encoders.answers import CaptionError
from exvad.encoders.captioners.captions import ClipsUnsupportedError
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.model_files import ModelUnavailableError
from tests.helpers.image_to_text_models import blip, blip2_opt, blip2_t5, git
from tests.helpers.vision_models import CHAT_FAMILIES, edit_json, qwen2_5_vl, write_model

RNG = np.random.default_rng(0)
FRAMES = RNG.integers(0, 256, (4, 60, 80, 3), np.uint8)
CONTRASTS = np.stack([np.zeros_like(FRAMES[0]), np.full_like(FRAMES[0], 255), *FRAMES])
PORTRAITS = RNG.integers(0, 256, (2, 90, 60, 3), np.uint8)
PROMPT = "What happens at Night?"


def load(model: str, prompt: str = "", batch_size: int = 16, **options: Any) -> Any:
    """Load a captioner on the CPU with short captions."""
    return TransformersCaptioner(
        model, prompt, "cpu", batch_size=batch_size, max_new_tokens=6, **options
    )


def save_as_before_2024(folder: str) -> None:
    """Remove what old folders of BLIP-2 lack from a folder."""
    edit_json(Path(folder) / "processor_config.json", num_query_tokens=None)
    edit_json(Path(folder) / "config.json", image_token_index=None)


def test_caption_does_not_depend_on_the_batch_size() -> None:
    frames = RNG.integers(0, 256, (3, 120, 160, 3), np.uint8)
    one, many = (load("package:captioner", batch_size=size) for size in (1, 16))
    captions = one.caption(frames)
    assert len(captions) == 3
    assert captions == many.caption(frames)


@pytest.mark.parametrize("size", [(1, 1), (1, 64), (64, 1), (3, 3), (3, 64)])
def test_frames_of_a_few_pixels_are_captioned_like_enlarged_ones(size: tuple[int, int]) -> None:
    """Their height is not taken for the number of channels."""
    captioner = load("package:captioner")
    frames = np.full((1, *size, 3), [200, 30, 30], np.uint8)
    enlarged = np.full((1, 96, 96, 3), [200, 30, 30], np.uint8)
    assert captioner.caption(frames) == captioner.caption(enlarged)


def test_captioner_names_a_model_that_cannot_be_found() -> None:
    with pytest.raises(ModelUnavailableError, match="can't load model '/no/such/model'"):
        load("/no/such/model")


@pytest.mark.parametrize("family", CHAT_FAMILIES)
def test_chat_models_caption_frames_and_clips_in_batches_as_alone(
    family: str, tmp_path: Path
) -> None:
    captioner = load(write_model(tmp_path, CHAT_FAMILIES[family]), batch_size=3, frames=2)
    captions = captioner.caption(FRAMES)
    assert len(set(captions)) > 1, "captions depend on the frame"
    assert captions == [captioner.caption(frame[None])[0] for frame in FRAMES]
    assert not any("in one sentence" in caption for caption in captions)
    clips = [FRAMES[:2], FRAMES[2:], PORTRAITS, FRAMES[:1]]
    captions = captioner.caption_clips(clips)
    assert captions == [captioner.caption_clips([clip])[0] for clip in clips]
    assert len(set(captions)) > 1, "captions depend on the clip"


def test_chat_models_get_the_prompt(tmp_path: Path) -> None:
    folder = write_model(tmp_path, qwen2_5_vl)
    assert load(folder).caption(FRAMES) != load(folder, PROMPT).caption(FRAMES)


def test_chat_models_answer_another_prompt_as_captioners_with_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path, qwen2_5_vl)
    clips = [FRAMES[:2], FRAMES[2:]]
    answers = load(folder, frames=2).answer(clips, PROMPT)
    captions = load(folder, PROMPT, frames=2).caption_clips(clips)
    assert [answer.text for answer in answers] == captions


def test_numbers_with_a_point_get_the_type_of_the_weights(tmp_path: Path) -> None:
    for index, builder in enumerate((blip2_opt, qwen2_5_vl)):
        folder = write_model(tmp_path / str(index), builder)
        captioner = load(folder, PROMPT, dtype="bfloat16")
        assert str(captioner.dtype) == "torch.bfloat16"
        assert len(captioner.caption(FRAMES)) == 4


@pytest.mark.parametrize("prompt", ["", PROMPT])
@pytest.mark.parametrize("builder", [blip2_opt, blip2_t5])
def test_old_folders_of_blip2_caption_as_new_ones(
    builder: Callable[[Path], Any], prompt: str, tmp_path: Path
) -> None:
    folder = write_model(tmp_path, builder)
    captions = load(folder, prompt).caption(FRAMES)
    save_as_before_2024(folder)
    assert load(folder, prompt).caption(FRAMES) == captions


@pytest.mark.parametrize("prompt", ["", PROMPT])
def test_captions_of_an_old_blip2_depend_on_the_frame(prompt: str, tmp_path: Path) -> None:
    folder = write_model(tmp_path, blip2_opt)
    save_as_before_2024(folder)
    captioner = load(folder, prompt)
    first, *others = captioner.caption(CONTRASTS)
    assert any(caption != first for caption in others)


@pytest.mark.parametrize("builder", [blip2_opt, blip2_t5, blip, git])
def test_plain_models_caption_frames_in_batches_as_alone(
    builder: Callable[[Path], Any], tmp_path: Path
) -> None:
    captioner = load(write_model(tmp_path, builder), batch_size=3)
    captions = captioner.caption(CONTRASTS)
    assert len(set(captions)) > 1, "captions depend on the frame"
    assert captions == [captioner.caption(frame[None])[0] for frame in CONTRASTS]


@pytest.mark.parametrize("builder", [blip2_opt, blip2_t5, blip, git])
def test_captions_do_not_repeat_the_prompt(builder: Callable[[Path], Any], tmp_path: Path) -> None:
    captions = load(write_model(tmp_path, builder), PROMPT).caption(FRAMES)
    assert len(captions) == 4
    assert not any(caption.lower().startswith("what happens at") for caption in captions)


def test_a_prompt_for_git_has_no_end_token(tmp_path: Path) -> None:
    captioner = load(write_model(tmp_path, git), PROMPT)
    captured: list[list[int]] = []
    generate = captioner.network.generate

    def capture(**inputs: Any) -> Any:
        captured.extend(inputs["input_ids"].tolist())
        return generate(**inputs)

    captioner.network.generate = capture
    captioner.caption(FRAMES[:1])
    assert captured[0][0] == captioner.processor.tokenizer.cls_token_id
    assert captured[0][-1] != captioner.processor.tokenizer.sep_token_id


def test_models_without_a_chat_template_refuse_clips(tmp_path: Path) -> None:
    with pytest.raises(ClipsUnsupportedError, match=r"frames=3: package:captioner has no chat"):
        load("package:captioner", frames=3)
    captioner = load("package:captioner")
    assert captioner.caption_clips([FRAMES[:1]]) == captioner.caption(FRAMES[:1])
    with pytest.raises(ClipsUnsupportedError):
        captioner.caption_clips([FRAMES[:2]])


def test_an_empty_caption_is_an_error_with_the_frame() -> None:
    captioner = load("package:captioner")
    captioner.processor.batch_decode = lambda ids, **_: ["a fire", " \n", "a park"][: len(ids)]
    with pytest.raises(CaptionError, match=r"package:captioner wrote no caption for frame 2 of 3"):
        captioner.caption(FRAMES[:3])


def limit_memory(captioner: Any, largest: int) -> list[int]:
    """Let larger batches fail for lack of memory; return the list of the sizes to come."""
    generate, sizes = captioner.network.generate, []

    def small_memory(**inputs: Any) -> Any:
        sizes.append(len(inputs["input_ids"]))
        if sizes[-1] > largest:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**inputs)

    captioner.network.generate = small_memory
    return sizes


@pytest.mark.parametrize("builder", [blip2_opt, qwen2_5_vl])
def test_batches_that_do_not_fit_into_memory_are_halved(
    builder: Callable[[Path], Any], tmp_path: Path
) -> None:
    captioner = load(write_model(tmp_path, builder), PROMPT)
    captions = captioner.caption(FRAMES)
    sizes = limit_memory(captioner, 2)
    assert captioner.caption(FRAMES[:3]) == captions[:3]
    assert sizes == [3, 1, 2]
    limit_memory(captioner, 0)
    with pytest.raises(torch.OutOfMemoryError):
        captioner.caption(FRAMES)


@pytest.mark.parametrize("builder", [blip2_opt, qwen2_5_vl])
def test_work_ahead_changes_no_caption(builder: Callable[[Path], Any], tmp_path: Path) -> None:
    captioner = load(write_model(tmp_path, builder), PROMPT, batch_size=1)
    captions = captioner.caption(FRAMES)
    captioner.works_ahead = True
    assert captioner.caption(FRAMES) == captions
