"""The two forms of the `gpu` lane: full size on a CUDA card, and in miniature on the CPU."""

from __future__ import annotations

from dataclasses import dataclass

from tests.helpers.gpu.configurations import Size


@dataclass(frozen=True)
class Lane:
    """What the tests of the lane run with.

    Args:
        size: of the models, and of the amounts of work.
        device: where the models run.
        frames: frames that CLIP encodes in a measurement.
        caption_batches: frames per batch of the captioner.
        caption_tokens: length of a caption.
        prompts: videos that the language model explains at once.
        prompt_tokens: length of their prompts.
        answer_tokens: length of an explanation.
        chunk_snippets: frames of the chunk whose host time is measured.
    """

    size: Size
    device: str
    frames: int
    caption_batches: tuple[int, ...]
    caption_tokens: int
    prompts: int
    prompt_tokens: int
    answer_tokens: int
    chunk_snippets: int

    @property
    def is_full(self) -> bool:
        """Whether it runs on a card."""
        return self.size == "full"


# The lengths are those that scripts/scale.yaml assumes of a video.
FULL = Lane("full", "cuda", 2048, (1, 16, 32, 128), 20, 32, 750, 120, 256)
MINIATURE = Lane("miniature", "cpu", 8, (1, 3), 4, 3, 40, 4, 6)
