"""Deployments of the decoder, of CLIP and of the captioner, each with its own replicas.

Requests that arrive while a model is busy are computed together as soon as it is free. A request
to an idle model does not wait for others.

N frames, clips or texts · f frames of a clip · H, W pixels · D feature width
"""

# No postponed annotations here: Ray Serve evaluates the annotations of deployments.

import asyncio
from collections.abc import Callable, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from ray import serve

from exvad.aegm.captioning import caption_clips
from exvad.config import Config
from exvad.encoders.answers import CaptionError
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.loading import load_captioner, load_clip
from exvad.serving.deployments.device_health import DeviceHealth
from exvad.serving.settings import ServerSettings
from exvad.serving.workers.errors import MODEL_ERRORS, is_device_error
from exvad.video.chunks import Chunk
from exvad.video.decoding import DecodedChunk
from exvad.video.sandbox import DecodingProcess
from exvad.video.survey import VideoInfo

Frames = NDArray[np.uint8]
Method = TypeVar("Method", bound=Callable[..., Any])
MAX_BATCHED_REQUESTS = 8
MAX_CAPTIONER_REQUESTS = 32


def _batched(method: Method) -> Method:
    """Make a method that takes several requests a method that takes one.

    An error in place of the result of a request is raised for this request only.
    """
    batched: Any = serve.batch(max_batch_size=MAX_BATCHED_REQUESTS, batch_wait_timeout_s=0)(method)

    @wraps(method)
    async def send(self: Any, request: Any) -> Any:
        result = await batched(self, request)
        if isinstance(result, Exception):
            raise result
        return result

    return cast("Method", send)


@serve.deployment(name="Decoder", max_ongoing_requests=16)
class DecoderDeployment:
    """Decodes uploads in a process that is confined, with limits on memory and time.

    Args:
        settings: the limits.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._process = DecodingProcess(
            settings.decode_bytes,
            settings.decode_seconds,
            file_seconds=settings.decode_file_seconds,
            mode=settings.sandbox,
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
class ClipDeployment:
    """CLIP's image and text encoder, E_I and E_T.

    Args:
        config: configuration of the served checkpoint.
    """

    def __init__(self, config: Config) -> None:
        self._clip, self._device = load_clip(config), DeviceHealth()

    @_batched
    async def encode_images(self, requests: list[Frames]) -> list[NDArray[np.float32]]:
        """Encode the frames of each request, uint8 [N, H, W, 3], into features [N, D]."""
        encoded: list[NDArray[np.float32]] = await self._device.compute(
            compute_each, partial(compute_by_size, self._clip.encode_images), requests
        )
        return encoded

    @_batched
    async def encode_texts(self, requests: list[list[str]]) -> list[NDArray[np.float32]]:
        """Encode the N texts of each request into features [N, D]."""
        encoded: list[NDArray[np.float32]] = await self._device.compute(
            compute_each, partial(compute_together, self._clip.encode_texts), requests
        )
        return encoded

    def check_health(self) -> None:
        """Raise an error if the GPU can't be used, so that Ray Serve replaces the replica."""
        self._device.check()


@serve.deployment(name="Captioner", max_ongoing_requests=MAX_CAPTIONER_REQUESTS)
class CaptionerDeployment:
    """The captioner Φ_C.

    Args:
        config: configuration of the served checkpoint.
    """

    def __init__(self, config: Config) -> None:
        self._captioner, self._device = load_captioner(config), DeviceHealth()
        # Requests to an endpoint wait for nothing else, and are bounded by its client.
        is_remote = isinstance(self._captioner, EndpointCaptioner)
        self._callers = ThreadPoolExecutor(MAX_CAPTIONER_REQUESTS) if is_remote else None

    async def caption(self, clips: Frames) -> list[str]:
        """Caption clips of one size, uint8 [N, f, H, W, 3]."""
        if self._callers is not None:
            caption_remotely = partial(caption_clips, self._captioner, list(clips))
            return await asyncio.get_running_loop().run_in_executor(self._callers, caption_remotely)
        caption: Any = self._caption  # batched: it takes one request instead of several
        captions: list[str] = await caption(clips)
        return captions

    @_batched
    async def _caption(self, requests: list[Frames]) -> list[list[str]]:
        caption = partial(compute_by_size, partial(caption_clips, self._captioner))
        captions: list[list[str]] = await self._device.compute(compute_each, caption, requests)
        return captions

    def check_health(self) -> None:
        """Raise an error if the GPU can't be used, so that Ray Serve replaces the replica."""
        self._device.check()


def compute_together(
    compute: Callable[[list[Any]], Any], requests: Sequence[Sequence[Any]]
) -> list[Any]:
    """Compute the items of several requests together; return the results of each request."""
    return _split(compute([item for request in requests for item in request]), requests)


def compute_by_size(compute: Callable[[Frames], Any], requests: Sequence[Frames]) -> list[Any]:
    """Compute several requests, those with frames of one size together."""
    results: list[Any] = [None] * len(requests)
    sizes = [request.shape[1:] for request in requests]
    for size in dict.fromkeys(sizes):
        indices = [index for index, other in enumerate(sizes) if other == size]
        frames = [requests[index] for index in indices]
        computed = _split(compute(np.concatenate(frames)), frames)
        for index, result in zip(indices, computed, strict=True):
            results[index] = result
    return results


def compute_each(compute: Callable[[list[Any]], list[Any]], requests: Sequence[Any]) -> list[Any]:
    """Compute several requests together; one that fails costs only itself.

    Args:
        compute: computes requests.
        requests: the requests.

    Returns:
        The result of each request, or its error.

    Raises:
        RuntimeError: the process can't use its GPU any more.
    """
    try:
        return compute(list(requests))
    except (CaptionError, ValueError, *MODEL_ERRORS) as error:
        if is_device_error(error):
            raise
        if len(requests) == 1:
            return [error]
    return [compute_each(compute, [request])[0] for request in requests]


def _split(results: Any, requests: Sequence[Sized]) -> list[Any]:
    """Split the results of all items into those of each request."""
    ends = np.cumsum([len(request) for request in requests])
    return [results[end - len(request) : end] for request, end in zip(requests, ends, strict=True)]
