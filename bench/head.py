"""The trained network: its size, its work, and how close it comes to the machine's matmul rate.

The benchmark records the matrix products of one pass, replays them alone, and divides their time by
the time of the pass. Passes and replays alternate.

    python -m bench.head [--quick]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from bench._harness import emit
from exvad.modeling.exvad import ExVAD, build_exvad
from exvad.modeling.losses import exvad_loss

WIDTH, SNIPPETS, CLASSES = 512, 256, 14
GOALS: dict[str, tuple[str, float]] = {
    "trainable_parameters": ("<=", 9.98e6),
    "macs_per_video": ("<=", 3.0e9),
    "forward_matmul_fraction": (">=", 0.6),
    "training_step_matmul_fraction": (">=", 0.6),
}

aten = torch.ops.aten
# Operation → the same operation with a given output, and its operands. The products inside
# attention are 0.2 % of the work and never run as plain products, so they are not counted.
REPLAYED: dict[Any, tuple[Any, slice]] = {
    aten.mm.default: (aten.mm.out, slice(0, 2)),
    aten.addmm.default: (aten.mm.out, slice(1, 3)),
    aten.bmm.default: (aten.bmm.out, slice(0, 2)),
    aten.baddbmm.default: (aten.bmm.out, slice(1, 3)),
}
CONVOLUTIONS = {aten.convolution.default, aten.convolution_backward.default}


class ProductRecorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the matrix products and convolutions that run inside it, to replay them alone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.replays: list[Callable[[], object]] = []
        self._operands: dict[tuple[Any, ...], torch.Tensor] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run an operation; record its shapes if it is a product."""
        result = func(*args, **(kwargs or {}))
        if func in REPLAYED:
            product, positions = REPLAYED[func]
            left, right = (self._operand(x, role) for role, x in enumerate(args[positions]))
            out = self._operand(result, "out")
            self.replays.append(lambda: product(left, right, out=out))
        elif func in CONVOLUTIONS:
            operands = [
                self._operand(x, role) if isinstance(x, torch.Tensor) else x
                for role, x in enumerate(args)
            ]
            self.replays.append(lambda: func(*operands))
        return result

    def replay(self) -> None:
        """Run every recorded product again on operands of the same shapes and strides."""
        for product in self.replays:
            product()

    def _operand(self, like: torch.Tensor, role: object) -> torch.Tensor:
        key = (role, like.shape, like.stride())
        if key not in self._operands:
            with torch.no_grad():
                operand = torch.empty_strided(like.shape, like.stride(), dtype=like.dtype)
                self._operands[key] = operand.normal_()
        return self._operands[key]


def matmul_fraction(name: str, run: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Measure the share of the time of a function that its products alone take.

    Args:
        name: name of the function, for the progress.
        run: the function.
        rounds: number of repetitions.

    Returns:
        The median share, and the median time of the function in seconds.
    """
    run()
    with ProductRecorder() as products:
        run()
    shares, seconds = [], []
    for index in range(rounds):
        total, products_only = timed(run), timed(products.replay)
        progress = f"{name} {index + 1}/{rounds}: {total:.2f} s, {products_only:.2f} s"
        print(progress, file=sys.stderr)
        shares.append(products_only / total)
        seconds.append(total)
    return statistics.median(shares), statistics.median(seconds)


def timed(run: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def count_macs(model: ExVAD, label_CD: torch.Tensor) -> float:
    """Return the number of multiply-adds for one video of 256 snippets."""
    video = torch.randn(1, SNIPPETS, WIDTH), torch.tensor([SNIPPETS]), torch.randn(1, WIDTH)
    counter = FlopCounterMode(display=False)
    # The counter does not count the fused attention of a CPU.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), counter:
        model(*video, label_CD)
    return counter.get_total_flops() / 2


def main() -> None:
    """Measure and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small batch")
    quick = parser.parse_args().quick
    batch, rounds = (16, 3) if quick else (128, 3)

    torch.manual_seed(0)
    model = build_exvad(WIDTH, CLASSES)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-5)
    visual_BTD, text_BD = torch.randn(batch, SNIPPETS, WIDTH), torch.randn(batch, WIDTH)
    lengths_B = torch.randint(SNIPPETS // 4, SNIPPETS + 1, (batch,))
    label_CD = torch.randn(CLASSES, WIDTH)
    targets_BC = torch.eye(CLASSES)[torch.randint(0, CLASSES, (batch,))]

    def forward() -> None:
        with torch.no_grad():
            model(visual_BTD, lengths_B, text_BD, label_CD)

    def training_step() -> None:
        output = model(visual_BTD, lengths_B, text_BD, label_CD)
        loss = exvad_loss(output, targets_BC, lengths_B, tau=0.07, lambda_=1.0).total
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    forward_share, forward_seconds = matmul_fraction("forward", forward, rounds)
    step_share, step_seconds = matmul_fraction("training step", training_step, rounds)
    metrics = {
        "trainable_parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "macs_per_video": count_macs(model, label_CD),
        "forward_matmul_fraction": forward_share,
        "training_step_matmul_fraction": step_share,
        "forward_videos_per_second": batch / forward_seconds,
        "training_videos_per_second": batch / step_seconds,
    }
    emit("head", metrics, GOALS)


if __name__ == "__main__":
    main()
