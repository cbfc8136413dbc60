"""The frozen models and the decoder, each a deployment of its own with its own replicas.

Requests of several analyses that arrive while a model is busy are answered together when it is
free: nobody waits for company.
"""

# No postponed annotations here: Ray Serve reads those of deployments.

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from ray import serve

from exvad.aegm.explanation import explanation_schema
from exvad.config import Config
from exvad.encoders.protocols import Writer
from exvad.serving.settings import ServerSettings
from exvad.video.chunks import Chunk, VideoInfo
from exvad.video.decoding import DecodedChunk

Pictures = NDArray[np.uint8]
Method = TypeVar("Method", bound=Callable[..., Any])
MOST_TOGETHER = 8
TELLING_SECONDS = 0.1  # between two looks at what is being written


def _gathered(method: Method) -> Method:
    gathered = serve.batch(max_batch_size=MOST_TOGETHER, batch_wait_timeout_s=0)
    batched: Method = gathered(method)
    return batched


@serve.deployment(name="Decoder", max_ongoing_requests=16)
class DecoderPart:
    """Decodes uploads in a process of its own, with limits on memory and time.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: ServerSettings) -> None:
        from exvad.video.sandbox import DecodingProcess

        self._process = DecodingProcess(
            settings.decode_bytes,
            settings.decode_seconds,
            file_seconds=settings.decode_file_seconds,
        )

    async def plan(self, *arguments: Any) -> tuple[VideoInfo, list[Chunk]]:
        """Cut a video into chunks; see `DecodingProcess.plan`."""
        return await asyncio.to_thread(self._process.plan, *arguments)

    async def decode(self, chunk: Chunk, short_side: int | None) -> DecodedChunk:
        """Decode a chunk; see `DecodingProcess.decode`."""
        return await asyncio.to_thread(self._process.decode, chunk, short_side)

    def __del__(self) -> None:
        self._process.close()


@serve.deployment(name="Clip", max_ongoing_requests=32)
class ClipPart:
    """CLIP's image and text encoder, E_I and E_T.

    Args:
        config: of the checkpoint that is served.
    """

    def __init__(self, config: Config) -> None:
        from exvad.encoders.loading import load_clip

        self._clip = load_clip(config)

    @_gathered
    async def encode_images(self, asked: list[Pictures]) -> list[NDArray[np.float32]]:
        """Encode the pictures of each request, uint8 [N, H, W, 3]."""
        return await asyncio.to_thread(_by_size, self._clip.encode_images, asked)

    @_gathered
    async def encode_texts(self, asked: list[list[str]]) -> list[NDArray[np.float32]]:
        """Encode the texts of each request."""
        return await asyncio.to_thread(_together, self._clip.encode_texts, asked)


@serve.deployment(name="Captioner", max_ongoing_requests=32)
class CaptionerPart:
    """The captioner Φ_C.

    Args:
        config: of the checkpoint that is served.
    """

    def __init__(self, config: Config) -> None:
        from exvad.encoders.loading import load_captioner

        self._captioner = load_captioner(config)

    @_gathered
    async def caption(self, asked: list[Pictures]) -> list[list[str]]:
        """Caption the pictures of each request, uint8 [N, H, W, 3]."""
        return await asyncio.to_thread(_by_size, self._captioner.caption, asked)


@serve.deployment(name="Explainer", max_ongoing_requests=32)
class ExplainerPart:
    """The language model Φ_LLM.

    Args:
        config: of the checkpoint that is served.
        classes: class names, the normal one first.
    """

    def __init__(self, config: Config, classes: tuple[str, ...]) -> None:
        from exvad.encoders.loading import LocalModels

        self._llm = LocalModels(config, explanation_schema(classes)).llm

    @_gathered
    async def complete(self, asked: list[list[str]]) -> list[list[str]]:
        """Answer the prompts of each request."""
        return await asyncio.to_thread(_together, self._llm.complete, asked)

    async def write(self, prompts: list[str]) -> AsyncIterator[list[str]]:
        """Answer prompts; gives the answers so far, again and again, and at last the whole."""
        gathered: Any = self._write  # takes one request, and is called with several
        async for answers in gathered(prompts):
            yield answers

    @_gathered
    async def _write(self, asked: list[list[str]]) -> AsyncIterator[list[list[str]]]:
        prompts = [prompt for request in asked for prompt in request]
        texts = [""] * len(prompts)

        def tell(index: int, text: str) -> None:
            texts[index] = text

        def answer() -> list[str]:
            if isinstance(self._llm, Writer):
                return self._llm.write(prompts, tell)
            return self._llm.complete(prompts)

        # Telling of every word would take longer than to write it.
        answering = asyncio.create_task(asyncio.to_thread(answer))
        while not (await asyncio.wait([answering], timeout=TELLING_SECONDS))[0]:
            yield _together(lambda _: list(texts), asked)
        answers = answering.result()
        yield _together(lambda _: answers, asked)


def _together(answer: Any, asked: Sequence[Sequence[Any]]) -> list[Any]:
    """Answer several requests at once and give each its own part."""
    told = answer([item for request in asked for item in request])
    ends = np.cumsum([len(request) for request in asked])
    return [told[end - len(request) : end] for request, end in zip(asked, ends, strict=True)]


def _by_size(answer: Any, asked: Sequence[Pictures]) -> list[Any]:
    """Answer several requests, those with pictures of one size at once."""
    told: list[Any] = [None] * len(asked)
    sizes = [request.shape[1:] for request in asked]
    for size in dict.fromkeys(sizes):
        alike = [number for number, own in enumerate(sizes) if own == size]
        pictures = np.concatenate([asked[number] for number in alike])
        ends = np.cumsum([len(asked[number]) for number in alike])
        answers = answer(pictures)
        for number, end in zip(alike, ends, strict=True):
            told[number] = answers[end - len(asked[number]) : end]
    return told
