"""VadCLIP of `exvad.baselines` against its public code, with equal weights: outputs and speed.

The public code (github.com/nwpu-zxr/VadCLIP, Apache-2.0) is not part of this project: clone it and
name the folder. Its two files of the network and its losses run as they are, with three changes
that the machine forces: the device, which they write as `cuda`, is the CPU; CLIP's text encoder has
random weights; and texts are numbers of tokens. Clips have the full length, so that it does not
matter that the public code mixes padding into snippets.

    python -m bench.vadclip --public ../VadCLIP [--quick]

B videos · T snippets · C classes · D feature width · L tokens · W width of the text encoder
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from open_clip.transformer import QuickGELU, TextTransformer
from torch import nn

from bench._harness import emit
from exvad.baselines.clip_text import ClipText, prompts_from_tokens
from exvad.baselines.common.system import Clips
from exvad.baselines.vadclip import TokenPrompt, VadCLIP

WIDTH, SNIPPETS, CLASSES, WINDOW, LAYERS = 512, 256, 14, 8, 2
LEARNED = 10
VOCABULARY, CONTEXT = 1000, 77
LEARNING_RATE = 2e-5
GOALS: dict[str, tuple[str, float]] = {
    "largest_difference": ("<=", 1e-5),
    "training_step_speedup": (">=", 2.0),
}


class TextEncoder(nn.Module):
    """CLIP's text encoder with the interface of the public code's copy of CLIP."""

    def __init__(self, network: TextTransformer) -> None:
        super().__init__()
        self.network = network

    def encode_token(self, tokens_CL: torch.Tensor) -> torch.Tensor:
        """Return the embeddings of tokens."""
        embedded_CLW: torch.Tensor = self.network.token_embedding(tokens_CL)
        return embedded_CLW

    def encode_text(self, embedded_CLW: torch.Tensor, tokens_CL: torch.Tensor) -> torch.Tensor:
        """Return the features of texts, read at the largest token, as the public code does."""
        network = self.network
        x_CLW = embedded_CLW + network.positional_embedding
        x_CLW = network.ln_final(network.transformer(x_CLW, attn_mask=network.attn_mask))
        rows_C = torch.arange(len(x_CLW))
        features_CD: torch.Tensor = x_CLW[rows_C, tokens_CL.argmax(-1)] @ network.text_projection
        return features_CD


def random_tokens() -> torch.Tensor:
    """Return the tokens of class names: a start, one to three others, and the end."""
    tokens_CL = torch.zeros(CLASSES, CONTEXT, dtype=torch.long)
    for row in range(CLASSES):
        size = 1 + row % 3
        tokens_CL[row, 0] = VOCABULARY - 2
        tokens_CL[row, 1 : size + 1] = torch.arange(1, size + 1) + 3 * row
        tokens_CL[row, size + 1] = VOCABULARY - 1
    return tokens_CL


def read_public(
    folder: Path, encoder: TextEncoder, tokens_CL: torch.Tensor
) -> tuple[Any, ModuleType]:
    """Build the public network, and load the module with its losses.

    Args:
        folder: a clone of the public repository.
        encoder: in place of CLIP with its published weights.
        tokens_CL: in place of the tokenizer's.
    """
    clip = ModuleType("clip")
    clip.clip = ModuleType("clip.clip")  # type: ignore[attr-defined]
    clip.clip.load = lambda *_: (encoder, None)
    clip.clip.tokenize = lambda _: tokens_CL
    stand_ins = {
        name: ModuleType(name)
        for name in ("utils", "ucf_test", "ucf_option", "utils.dataset", "utils.tools")
    }
    for name, attributes in (
        ("ucf_test", ["test"]),
        ("utils.dataset", ["UCFDataset"]),
        ("utils.tools", ["get_prompt_text", "get_batch_label"]),
    ):
        for attribute in attributes:
            setattr(stand_ins[name], attribute, None)
    sys.modules |= {"clip": clip, "clip.clip": clip.clip, **stand_ins}
    _run_file(folder / "src/utils/layers.py", "utils.layers")
    model = _run_file(folder / "src/model.py", "model")
    losses = _run_file(folder / "src/ucf_train.py", "ucf_train")
    network = model.CLIPVAD(
        CLASSES, WIDTH, SNIPPETS, WIDTH, 1, LAYERS, WINDOW, LEARNED, LEARNED, "cpu"
    )
    return network, losses


def _run_file(path: Path, name: str) -> ModuleType:
    if not path.is_file():
        raise SystemExit(f"{path}: no such file; --public names a clone of nwpu-zxr/VadCLIP")
    spec = importlib.util.spec_from_loader(name, loader=None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    exec(compile(path.read_text().replace("'cuda'", "'cpu'"), str(path), "exec"), module.__dict__)
    return module


def copy_weights(public: Any, own: VadCLIP) -> None:
    """Give our network the weights of the public one."""
    theirs = dict(public.named_parameters())
    names = {
        "adapter.position_TD": "frame_position_embeddings.weight",
        "prompt.table_LW": "text_prompt_embeddings.weight",
        "adapter.linear": "linear",
        "classifier": "classifier",
        "adapter.similarity_branch.first": "gc1",
        "adapter.similarity_branch.second": "gc2",
        "adapter.distance_branch.first": "gc3",
        "adapter.distance_branch.second": "gc4",
    }
    for mine, other in (("ffn", "mlp2"), ("text_ffn", "mlp1")):
        names |= {f"{mine}.expand": f"{other}.c_fc", f"{mine}.contract": f"{other}.c_proj"}
    for layer in range(LAYERS):
        mine, other = f"adapter.local.blocks.{layer}", f"temporal.resblocks.{layer}"
        names |= {
            f"{mine}.attention_norm": f"{other}.ln_1",
            f"{mine}.mlp_norm": f"{other}.ln_2",
            f"{mine}.mlp.expand": f"{other}.mlp.c_fc",
            f"{mine}.mlp.contract": f"{other}.mlp.c_proj",
            f"{mine}.attention.project_in.weight": f"{other}.attn.in_proj_weight",
            f"{mine}.attention.project_in.bias": f"{other}.attn.in_proj_bias",
            f"{mine}.attention.project_out": f"{other}.attn.out_proj",
        }
    with torch.no_grad():
        for name, parameter in own.named_parameters():
            whole = max((n for n in names if name == n or name.startswith(f"{n}.")), key=len)
            parameter.copy_(theirs[names[whole] + name.removeprefix(whole)])


def random_clips(videos: int) -> Clips:
    """Return random clips of the full length; half of them are normal."""
    labels_B = torch.arange(videos) % CLASSES * (torch.arange(videos) % 2)
    common_D = torch.randn(WIDTH)
    return Clips(
        (common_D + torch.randn(videos, SNIPPETS, WIDTH)) / 5,
        torch.full((videos,), SNIPPETS),
        None,
        torch.eye(CLASSES)[labels_B],
        torch.arange(videos),
    )


def largest_difference(public: Any, own: VadCLIP, batches: int) -> float:
    """Return the largest difference of a score, a probability or a text feature.

    Args:
        public: the public network.
        own: ours, with equal weights.
        batches: number of random batches.
    """
    largest = 0.0
    for number in range(batches):
        clips = random_clips(2)
        with torch.no_grad():
            texts_CD, logits_BT1, map_BTC = public(
                clips.visual_BTD, None, [""] * CLASSES, clips.lengths_B
            )
            output = own(clips)
            pairs = (
                (output.scores_BT, logits_BT1.squeeze(-1).sigmoid()),
                (output.probabilities_BTC, map_BTC.softmax(-1)),
                (own.prompt(), texts_CD),
            )
        for mine, theirs in pairs:
            assert mine is not None, "VadCLIP has a class map"
            largest = max(largest, float((mine - theirs).abs().max()))
        print(f"batch {number + 1}/{batches}: {largest:.2g}", file=sys.stderr)
    return largest


def public_step(public: Any, losses: ModuleType, clips: Clips) -> Callable[[], object]:
    """Return a function that takes a training step as the public code does."""
    optimizer = torch.optim.AdamW(public.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        texts_CD, logits_BT1, map_BTC = public(
            clips.visual_BTD, None, [""] * CLASSES, clips.lengths_B
        )
        loss = losses.CLAS2(logits_BT1, clips.targets_BC, clips.lengths_B, "cpu")
        loss = loss + losses.CLASM(map_BTC, clips.targets_BC, clips.lengths_B, "cpu")
        unit_CD = [row_D / row_D.norm(dim=-1, keepdim=True) for row_D in texts_CD]
        apart = torch.zeros(1)
        for row_D in unit_CD[1:]:
            apart = apart + torch.abs(unit_CD[0] @ row_D)
        loss = loss + apart / (CLASSES - 1) * 0.1
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def own_step(own: VadCLIP, clips: Clips) -> Callable[[], object]:
    """Return a function that takes a training step."""
    optimizer = torch.optim.AdamW(own.parameters(), lr=LEARNING_RATE)

    def step() -> None:
        loss = own.loss(clips).total
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def seconds(run: Callable[[], object]) -> float:
    """Return the CPU seconds of a call, which do not count what else the machine does."""
    start = time.process_time()
    run()
    return time.process_time() - start


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--public", type=Path, required=True, help="clone of nwpu-zxr/VadCLIP")
    parser.add_argument("--quick", action="store_true", help="a small batch")
    options = parser.parse_args()
    torch.manual_seed(0)
    text = TextTransformer(
        context_length=CONTEXT, vocab_size=VOCABULARY, width=WIDTH, heads=8, layers=12,
        output_dim=WIDTH, act_layer=QuickGELU,
    )  # fmt: skip
    text.requires_grad_(False).eval()
    tokens_CL = random_tokens()
    public, losses = read_public(options.public, TextEncoder(text), tokens_CL)
    prompt = TokenPrompt(ClipText(text), prompts_from_tokens(tokens_CL), LEARNED, LEARNED)
    own = VadCLIP(WIDTH, prompt, LAYERS, WINDOW)
    copy_weights(public, own)
    difference = largest_difference(public, own, 10)
    videos, rounds = (8, 3) if options.quick else (128, 3)
    clips = random_clips(videos)
    steps = {"public": public_step(public, losses, clips), "own": own_step(own, clips)}
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()
    for number in range(rounds):
        for name, step in steps.items():
            spent[name].append(seconds(step))
        times = ", ".join(f"{name} {values[-1]:.1f} s" for name, values in spent.items())
        print(f"step {number + 1}/{rounds}: {times}", file=sys.stderr)
    ratios = [a / b for a, b in zip(spent["public"], spent["own"], strict=True)]
    metrics = {
        "largest_difference": difference,
        "videos": videos,
        "public_step_cpu_seconds": statistics.median(spent["public"]),
        "own_step_cpu_seconds": statistics.median(spent["own"]),
        "training_step_speedup": statistics.median(ratios),
    }
    emit("vadclip", metrics, GOALS)


if __name__ == "__main__":
    main()
