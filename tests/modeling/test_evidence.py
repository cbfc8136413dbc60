"""The evidence, a column beside grounded text, reaches scores and classes.

B videos · T snippets · D feature width
"""

from __future__ import annotations

import pytest
import torch

from exvad.modeling.exvad import ExVAD, build_exvad
from exvad.modeling.losses import exvad_loss

WIDTH, CLASSES = 8, 3
LENGTHS_B = torch.tensor([6, 4])
TARGETS_BC = torch.tensor([[1.0, 0, 0], [0, 1, 0]])


def grounded(evidence: float = 4.0) -> ExVAD:
    torch.manual_seed(0)
    return build_exvad(WIDTH, CLASSES, window=4, text="grounded", evidence=evidence)


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return image features, text features with votes, and label embeddings."""
    torch.manual_seed(1)
    votes_BT1 = torch.rand(2, 6, 1)
    text_BTD = torch.cat([torch.randn(2, 6, WIDTH), votes_BT1], -1)
    return torch.randn(2, 6, WIDTH), text_BTD, torch.randn(CLASSES, WIDTH)


def trained(network: ExVAD, steps: int = 3) -> ExVAD:
    """Train a network for a few steps."""
    visual_BTD, text_BTD, label_CD = inputs()
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.01)
    for _ in range(steps):
        output = network(visual_BTD, LENGTHS_B, text_BTD, label_CD)
        loss = exvad_loss(output, TARGETS_BC, LENGTHS_B, tau=0.07, lambda_=1.0).total
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return network.eval()


def votes_matter(network: ExVAD) -> bool:
    """Whether scores depend on the votes."""
    visual_BTD, text_BTD, label_CD = inputs()
    other_BTD = text_BTD.clone()
    other_BTD[..., -1] = 0
    with torch.inference_mode():
        logits = [network(visual_BTD, LENGTHS_B, t, label_CD)[0] for t in (text_BTD, other_BTD)]
    return not torch.equal(*logits)


def test_evidence_counts_once_it_is_trained_and_only_with_a_factor() -> None:
    assert not votes_matter(grounded().eval())
    assert votes_matter(trained(grounded()))
    assert not votes_matter(trained(grounded(evidence=0)))


def test_untrained_grounded_network_is_the_one_without_votes() -> None:
    torch.manual_seed(0)
    other = build_exvad(WIDTH, CLASSES, window=4, text="captions").eval()
    visual_BTD, text_BTD, label_CD = inputs()
    with torch.inference_mode():
        expected = other(visual_BTD, LENGTHS_B, text_BTD[..., :-1], label_CD)
        output = grounded().eval()(visual_BTD, LENGTHS_B, text_BTD, label_CD)
    for one, two in zip(output, expected, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)


def test_evidence_of_a_whole_video_is_that_of_its_snippets() -> None:
    network = trained(grounded())
    visual_BTD, text_BTD, label_CD = inputs()
    video_BD = text_BTD[:, 0]
    with torch.inference_mode():
        one = network(visual_BTD, LENGTHS_B, video_BD, label_CD)[0]
        two = network(visual_BTD, LENGTHS_B, video_BD[:, None].expand(-1, 6, -1), label_CD)[0]
    torch.testing.assert_close(one, two)


def test_grounded_network_says_how_wide_the_text_must_be() -> None:
    network = grounded()
    assert network.text_width == WIDTH + 1
    visual_BTD, text_BTD, label_CD = inputs()
    with pytest.raises(ValueError, match=r"text features are 8 wide, .* built for 9"):
        network(visual_BTD, LENGTHS_B, text_BTD[..., :-1], label_CD)


def test_networks_with_other_texts_have_no_evidence() -> None:
    names = build_exvad(WIDTH, CLASSES, text="explanation", evidence=4.0).state_dict()
    assert not [name for name in names if name.startswith("evidence")]
