"""The whole network: padding, batches, gradients, size and precision.

B videos · T snippets · C classes · D feature width
"""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from exvad.modeling.exvad import ExVAD, Output, build_exvad, class_probabilities, coarse_scores
from exvad.modeling.losses import LossTerms, exvad_loss

WIDTH, CLASSES = 8, 3
Fusion = Literal["add", "concat", "gated"]
Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

ragged = st.lists(st.integers(1, 21), min_size=1, max_size=4)


def small(window: int = 4, fusion: Fusion = "concat", layers: int = 1) -> ExVAD:
    torch.manual_seed(0)
    model = build_exvad(
        WIDTH, CLASSES, max_snippets=24, window=window, layers=layers, fusion=fusion
    )
    return model.double()


def inputs(lengths: list[int], snippets: int | None = None) -> Inputs:
    torch.manual_seed(sum(lengths))
    batch = len(lengths)
    return (
        torch.randn(batch, snippets or max(lengths), WIDTH, dtype=torch.float64),
        torch.tensor(lengths),
        torch.randn(batch, WIDTH, dtype=torch.float64),
        torch.randn(CLASSES, WIDTH, dtype=torch.float64),
    )


def step(model: ExVAD, data: Inputs) -> LossTerms:
    targets_BC = torch.eye(CLASSES)[torch.arange(len(data[1])) % CLASSES]
    return exvad_loss(model(*data), targets_BC, data[1], tau=0.07, lambda_=1.0)


def assert_same_video(one: Output, row: int, other: Output, other_row: int, length: int) -> None:
    for name in ("logits_BT", "similarity_BTC"):
        torch.testing.assert_close(
            getattr(one, name)[row, :length],
            getattr(other, name)[other_row, :length],
            rtol=0,
            atol=1e-6,
        )


@settings(deadline=None, max_examples=40)
@given(ragged, st.integers(1, 9), st.sampled_from(["add", "concat", "gated"]))
def test_exvad_output_does_not_depend_on_the_length_of_padding(
    lengths: list[int], window: int, fusion: Fusion
) -> None:
    model = small(window, fusion, layers=2)
    visual_BTD, lengths_B, text_BD, label_CD = inputs(lengths)
    together = model(visual_BTD, lengths_B, text_BD, label_CD)
    for row, length in enumerate(lengths):
        one = slice(row, row + 1)
        alone = model(visual_BTD[one, :length], lengths_B[one], text_BD[one], label_CD)
        assert_same_video(together, row, alone, 0, length)


@settings(deadline=None, max_examples=30)
@given(ragged, st.integers(1, 9))
def test_exvad_output_does_not_depend_on_values_in_the_padding(
    lengths: list[int], window: int
) -> None:
    model = small(window)
    visual_BTD, lengths_B, text_BD, label_CD = inputs(lengths, snippets=24)
    padding_BT = torch.arange(24) >= lengths_B[:, None]
    first = model(visual_BTD, lengths_B, text_BD, label_CD)
    changed_BTD = visual_BTD.masked_fill(padding_BT[..., None], 1e3)
    second = model(changed_BTD, lengths_B, text_BD, label_CD)
    for row, length in enumerate(lengths):
        assert_same_video(first, row, second, row, length)


def test_exvad_gives_padding_no_gradient() -> None:
    visual_BTD, lengths_B, text_BD, label_CD = inputs([5, 21])
    visual_BTD.requires_grad_()
    terms = step(small(), (visual_BTD, lengths_B, text_BD, label_CD))
    terms.total.backward()  # type: ignore[no-untyped-call]
    assert visual_BTD.grad is not None
    assert (visual_BTD.grad[0, 5:] == 0).all()
    assert (visual_BTD.grad[1].abs().sum(-1) > 0).all()


@settings(deadline=None, max_examples=30)
@given(ragged, st.data())
def test_exvad_output_is_permuted_with_the_videos(lengths: list[int], data: st.DataObject) -> None:
    order = torch.tensor(data.draw(st.permutations(range(len(lengths)))))
    model = small()
    visual_BTD, lengths_B, text_BD, label_CD = inputs(lengths)
    straight = model(visual_BTD, lengths_B, text_BD, label_CD)
    permuted = model(visual_BTD[order], lengths_B[order], text_BD[order], label_CD)
    for row, source in enumerate(order.tolist()):
        assert_same_video(permuted, row, straight, source, lengths[source])


def test_exvad_output_of_a_video_does_not_depend_on_others_in_the_batch() -> None:
    model = small()
    visual_BTD, lengths_B, text_BD, label_CD = inputs([21, 6])
    before = model(visual_BTD, lengths_B, text_BD, label_CD)
    visual_BTD[0] += 10
    text_BD[0] -= 3
    after = model(visual_BTD, lengths_B, text_BD, label_CD)
    assert_same_video(before, 1, after, 1, 6)
    assert (before.logits_BT[0] - after.logits_BT[0]).abs().max() > 1e-3


def test_exvad_alignment_map_is_permuted_with_the_abnormal_classes() -> None:
    model = small()
    visual_BTD, lengths_B, text_BD, label_CD = inputs([7])
    straight = model(visual_BTD, lengths_B, text_BD, label_CD)
    swapped = model(visual_BTD, lengths_B, text_BD, label_CD[[0, 2, 1]])
    torch.testing.assert_close(swapped.similarity_BTC, straight.similarity_BTC[..., [0, 2, 1]])
    torch.testing.assert_close(swapped.logits_BT, straight.logits_BT)


def test_exvad_alignment_map_contains_cosines_with_unit_labels() -> None:
    output = small()(*inputs([20, 3]))
    assert output.similarity_BTC.abs().max() <= 1 + 1e-12
    torch.testing.assert_close(
        output.label_CD.norm(dim=-1), torch.ones(CLASSES, dtype=torch.float64)
    )


@pytest.mark.parametrize("label_prompt", ["name", "augmented", "learnable"])
def test_exvad_starts_from_the_given_label_embeddings(
    label_prompt: Literal["name", "augmented", "learnable"],
) -> None:
    model = build_exvad(WIDTH, CLASSES, label_prompt=label_prompt).double()
    data = inputs([4])
    expected = torch.nn.functional.normalize(data[3], dim=-1)
    torch.testing.assert_close(model(*data).label_CD, expected)


@pytest.mark.parametrize(
    ("label_prompt", "label_adapter", "trainable"),
    [("augmented", True, 2), ("augmented", False, 0), ("learnable", True, 4), ("name", False, 0)],
)
def test_build_exvad_adds_trainable_label_parts_only_if_configured(
    label_prompt: Literal["name", "augmented", "learnable"], label_adapter: bool, trainable: int
) -> None:
    model = build_exvad(WIDTH, CLASSES, label_prompt=label_prompt, label_adapter=label_adapter)
    assert len(list(model.label_adapter.parameters())) == trainable


@pytest.mark.parametrize("lambda_", [0.0, 1.0])
def test_contrastive_loss_trains_the_label_adapter(lambda_: float) -> None:
    model = small()
    data = inputs([6, 9])
    cts = step(model, data).cts
    (lambda_ * cts).backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.label_adapter.parameters()]
    moved = sum(float(g.abs().sum()) for g in gradients if g is not None)
    assert (moved > 0) == (lambda_ > 0)


def test_exvad_has_a_gradient_for_every_parameter() -> None:
    model = small(layers=2, fusion="gated")
    step(model, inputs([21, 9, 6])).total.backward()  # type: ignore[no-untyped-call]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_build_exvad_without_text_has_no_fusion() -> None:
    model = build_exvad(WIDTH, CLASSES, text="none").double()
    visual_BTD, lengths_B, text_BD, label_CD = inputs([5])
    assert not list(model.fusion.parameters())
    assert model(visual_BTD, lengths_B, None, label_CD).logits_BT.shape == (1, 5)
    with pytest.raises(ValueError, match="built without text"):
        model(visual_BTD, lengths_B, text_BD, label_CD)


def test_exvad_fuses_captions_snippet_by_snippet() -> None:
    model = small()
    visual_BTD, lengths_B, text_BD, label_CD = inputs([9])
    text_BTD = text_BD[:, None].repeat(1, 9, 1)
    before = model(visual_BTD, lengths_B, text_BTD, label_CD)
    text_BTD[0, 4] += 1
    after = model(visual_BTD, lengths_B, text_BTD, label_CD)
    moved_T = (before.logits_BT - after.logits_BT)[0].abs() > 1e-9
    assert moved_T.tolist() == [t == 4 for t in range(9)]


def test_build_exvad_rejects_an_odd_width() -> None:
    with pytest.raises(ValueError, match="width is 7"):
        build_exvad(7, CLASSES)


def test_build_exvad_has_the_size_of_the_paper_for_ucf_crime() -> None:
    model = build_exvad(512, 14)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == 9_979_393


def test_exvad_takes_at_most_three_billion_multiply_adds_per_video() -> None:
    model = build_exvad(512, 14)
    video = torch.zeros(1, 256, 512), torch.tensor([256]), torch.zeros(1, 512)
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(*video, torch.ones(14, 512))
    assert 2.4e9 < counter.get_total_flops() / 2 <= 3.0e9


def test_exvad_training_is_reproducible_from_a_seed() -> None:
    results = []
    for _ in range(2):
        model = small(layers=2)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            step(model, inputs([21, 5, 8])).total.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        results.append(torch.nn.utils.parameters_to_vector(model.parameters()))
    assert torch.equal(*results)


def test_exvad_loss_falls_within_a_few_steps() -> None:
    model, data = small(), inputs([21, 5, 8, 12])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    first = step(model, data).total.item()
    for _ in range(30):
        optimizer.zero_grad()
        step(model, data).total.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert step(model, data).total.item() < 0.5 * first


@pytest.mark.parametrize("fusion", ["add", "concat", "gated"])
def test_exvad_loss_under_bfloat16_autocast_is_close_to_float32(fusion: Fusion) -> None:
    torch.manual_seed(0)
    model = build_exvad(64, CLASSES, fusion=fusion)
    data = torch.randn(2, 30, 64), torch.tensor([30, 11]), torch.randn(2, 64), torch.randn(3, 64)
    exact = step(model, data)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close = step(model, data)
    close.total.backward()  # type: ignore[no-untyped-call]
    assert close.total.dtype == torch.float32
    torch.testing.assert_close(close.total, exact.total, rtol=0.02, atol=0.02)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def assert_compiled_equals_eager(backend: str) -> None:
    torch.compiler.reset()
    model, data = small(layers=2), inputs([21, 5])
    eager = step(model, data)
    compiled = torch.compile(step, fullgraph=True, backend=backend)(model, data)
    compiled.total.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(list(compiled), list(eager))
    assert all(p.grad is not None for p in model.parameters())


def test_exvad_compiles_into_one_graph() -> None:
    assert_compiled_equals_eager("aot_eager")


@pytest.mark.slow
def test_exvad_compiled_by_inductor_equals_eager() -> None:
    assert_compiled_equals_eager("inductor")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_coarse_scores_use_the_requested_branch(dtype: torch.dtype) -> None:
    output = Output(
        torch.tensor([[0.0, 40.0]], dtype=dtype),
        torch.tensor([[[0.5, 0.5, 0.5], [-1.0, 1.0, 1.0]]], dtype=dtype),
        torch.eye(3),
    )
    classifier_BT = coarse_scores(output, tau=0.1)
    torch.testing.assert_close(classifier_BT, torch.tensor([[0.5, 1.0]]))
    alignment_BT = coarse_scores(output, 0.1, "alignment")
    torch.testing.assert_close(alignment_BT, torch.tensor([[2 / 3, 1.0]]))
    probabilities_BTC = class_probabilities(output, 0.1)
    torch.testing.assert_close(probabilities_BTC.sum(-1), torch.ones(1, 2))
    torch.testing.assert_close(probabilities_BTC[0, 1], torch.tensor([0.0, 0.5, 0.5]))


def test_class_probabilities_weighted_are_shared_out_by_the_score() -> None:
    output = Output(
        torch.tensor([[0.0, 40.0, -40.0]]),
        torch.tensor([[[0.5, 0.5, 0.5], [-1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]]),
        torch.eye(3),
    )
    plain_BTC = class_probabilities(output, 0.1)
    weighted_BTC = class_probabilities(output, 0.1, weighted=True)
    expected_TC = torch.tensor([[2 / 3, 1 / 6, 1 / 6], [0, 0.5, 0.5], [1, 0, 0]])
    torch.testing.assert_close(weighted_BTC[0], expected_TC)
    torch.testing.assert_close(plain_BTC[0, 2], plain_BTC[0, 1])


def test_build_exvad_weighs_classes_only_if_asked_to() -> None:
    assert not build_exvad(WIDTH, CLASSES, text="grounded").weighted_classes
    assert build_exvad(WIDTH, CLASSES, weighted_classes=True).weighted_classes
