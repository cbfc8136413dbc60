"""VadCLIP: size, prompts, losses and padding.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from exvad.baselines.clip_text import Prompts
from exvad.baselines.common.system import trainable_parameters
from exvad.baselines.vadclip import LabelPrompt, TokenPrompt, VadCLIP
from tests.helpers.clip_text import random_prompts, text_of_published_size, tiny_text
from tests.helpers.clips import paired_clips

WIDTH, CLASSES = 8, 3


def small() -> VadCLIP:
    torch.manual_seed(0)
    prompt = TokenPrompt(tiny_text(WIDTH), random_prompts(CLASSES), prefix=3, postfix=2)
    return VadCLIP(WIDTH, prompt, window=4).eval()


@pytest.mark.parametrize(
    ("classes", "layers", "window", "published"),
    [(14, 2, 8, 12_642_306), (7, 1, 64, 9_489_922)],
)
def test_vadclip_has_the_published_size(
    classes: int, layers: int, window: int, published: int
) -> None:
    prompt = TokenPrompt(text_of_published_size(), random_prompts(classes, 77), 10, 10)
    system = VadCLIP(512, prompt, layers, window)
    # The published network declares one more parameter, a σ that nothing reads.
    assert trainable_parameters(system) == published - 1


def test_token_prompt_puts_the_name_between_learned_tokens() -> None:
    text = tiny_text(WIDTH)
    prompts = random_prompts(CLASSES)
    prompt = TokenPrompt(text, prompts, prefix=3, postfix=2)
    embedded_CLW = text.embed(prompts.tokens_CL)
    table_LW = prompt.table_LW.detach()
    for row, end in enumerate(prompts.ends_C.tolist()):
        parts = [
            embedded_CLW[row, :1],
            table_LW[1:4],
            embedded_CLW[row, 1:end],
            table_LW[3 + end : 5 + end],
            embedded_CLW[row, end : end + 1],
        ]
        whole_1LW = torch.cat(parts)[None]
        expected_1D = text.encode(whole_1LW, torch.tensor([whole_1LW.shape[1] - 1]))
        torch.testing.assert_close(prompt()[row].detach(), expected_1D[0], atol=1e-5, rtol=1e-4)


def test_token_prompt_trains_its_table_through_the_frozen_encoder() -> None:
    system = small()
    system.loss(paired_clips(4, 6, WIDTH)).total.backward()  # type: ignore[no-untyped-call]
    prompt = system.prompt
    assert isinstance(prompt, TokenPrompt)
    assert prompt.table_LW.grad is not None
    assert (prompt.table_LW.grad[1:4].abs().sum(-1) > 0).all()
    assert all(parameter.grad is None for parameter in prompt.text.network.parameters())


def test_token_prompt_refuses_names_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"3 tokens.*text encoder takes 10"):
        TokenPrompt(tiny_text(WIDTH, 10), random_prompts(CLASSES, 10), prefix=4, postfix=4)


def test_clip_text_encodes_as_the_network_does() -> None:
    torch.manual_seed(0)
    text = tiny_text(WIDTH)
    tokens_CL, ends_C = random_prompts(CLASSES)
    expected_CD = text.network(tokens_CL)
    torch.testing.assert_close(text.encode(text.embed(tokens_CL), ends_C), expected_CD)


def test_vadclip_output_does_not_depend_on_padding() -> None:
    system = small()
    clips = paired_clips(2, 6, WIDTH)
    padded_BTD = torch.cat([clips.visual_BTD, torch.full((2, 5, WIDTH), 9.0)], 1)
    alone, together = system(clips), system(replace(clips, visual_BTD=padded_BTD))
    assert alone.probabilities_BTC is not None
    assert together.probabilities_BTC is not None
    torch.testing.assert_close(together.scores_BT[:, :6], alone.scores_BT)
    torch.testing.assert_close(together.probabilities_BTC[:, :6], alone.probabilities_BTC)


def test_vadclip_scores_by_either_branch() -> None:
    system = small()
    clips = paired_clips(2, 6, WIDTH)
    classifier = system(clips)
    system.branch = "alignment"
    alignment = system(clips)
    assert alignment.probabilities_BTC is not None
    torch.testing.assert_close(alignment.scores_BT, 1 - alignment.probabilities_BTC[..., 0])
    assert not torch.allclose(classifier.scores_BT, alignment.scores_BT)


def test_vadclip_separates_the_texts_of_normal_and_anomaly() -> None:
    label_CD = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.6, 0.8]])
    system = VadCLIP(2, LabelPrompt(label_CD), lambda_=0.5, window=4)
    clips = paired_clips(2, 4, 2)
    torch.testing.assert_close(
        system.loss(clips).terms["texts"].detach(), torch.tensor(0.5 * (1 + 0.6) / 2)
    )


def test_prompts_are_a_pair_of_tokens_and_ends() -> None:
    prompts = random_prompts(2)
    assert isinstance(prompts, Prompts)
    assert prompts.ends_C.tolist() == [2, 3]
