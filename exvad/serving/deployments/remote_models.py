"""The frozen models and the decoder as the detector uses them, while they run in deployments.

N frames or texts · f frames of a clip · H, W pixels · D feature width
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import RayServeException

from exvad.serving.workers.errors import NoReplicaError, is_device_error
from exvad.video.container import DEFAULT_FPS

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from ray.serve.handle import DeploymentHandle

    from exvad.encoders.answers import Answer
    from exvad.video.chunks import Chunk
    from exvad.video.decoding import DecodedChunk
    from exvad.video.survey import VideoInfo

MAX_OUTAGE_SECONDS = 120.0  # without any replica, for example while a crashed one is replaced
RETRY_SECONDS = 0.5
T = TypeVar("T")


def call(handle: DeploymentHandle, method: str, *arguments: object) -> Any:
    """Call a method of a deployment, and wait for its result.

    The call is repeated if a replica crashes, or loses its GPU, before it has answered.

    Args:
        handle: handle of the deployment.
        method: name of the method.
        arguments: its arguments.

    Raises:
        NoReplicaError: no replica answers.
        Exception: whatever the method raised, without Ray's wrapper.
    """
    return _retry(method, lambda: getattr(handle, method).remote(*arguments).result())


def call_streaming(
    handle: DeploymentHandle, prompts: list[str], on_text: Callable[[int, str], None]
) -> list[Answer]:
    """Complete prompts, and report partial answers on the way.

    Args:
        handle: handle of the language model's deployment.
        prompts: the prompts.
        on_text: called with the index of a prompt and its answer so far.

    Raises:
        NoReplicaError: no replica answers.
    """

    def stream() -> list[Answer]:
        answers: list[Answer] = []
        for answers in handle.options(stream=True).stream.remote(prompts):
            for index, answer in enumerate(answers):
                on_text(index, answer.text)
        return answers

    return _retry("stream", stream)


def _retry(method: str, send: Callable[[], T]) -> T:
    deadline = time.monotonic() + MAX_OUTAGE_SECONDS
    while True:
        try:
            return send()
        except (RayTaskError, RayActorError, RayServeException) as error:
            # A replica that can't use its GPU any more is replaced like one that crashed.
            if isinstance(error, RayTaskError) and not is_device_error(error.cause):
                raise error.cause from None
            if time.monotonic() > deadline:
                raise NoReplicaError(
                    f"no replica has answered {method} for {MAX_OUTAGE_SECONDS:.0f} s: {error}"
                ) from error
            time.sleep(RETRY_SECONDS)


class RemoteClip:
    """E_I and E_T in a deployment.

    Args:
        handle: handle of the deployment.
        width: D.
    """

    def __init__(self, handle: DeploymentHandle, width: int) -> None:
        self._handle = handle
        self.width = width

    def encode_images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode RGB frames of one size, uint8 [N, H, W, 3], into features, float32 [N, D]."""
        features: NDArray[np.float32] = call(self._handle, "encode_images", frames)
        return features

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode N texts into features, float32 [N, D]."""
        features: NDArray[np.float32] = call(self._handle, "encode_texts", list(texts))
        return features


class RemoteCaptioner:
    """Φ_C in a deployment.

    Args:
        handle: handle of the deployment.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    def caption(self, frames: NDArray[np.uint8]) -> list[str]:
        """Return one caption for each RGB frame of uint8 [N, H, W, 3]."""
        return list(call(self._handle, "caption", frames[:, None]))

    def caption_clips(self, clips: Sequence[NDArray[np.uint8]]) -> list[str]:
        """Return one caption for each clip of RGB frames, uint8 [f, H, W, 3] each."""
        captions: list[str] = []
        for _, group in groupby(clips, key=lambda clip_fHWC: clip_fHWC.shape):
            captions += call(self._handle, "caption", np.stack(list(group)))
        return captions


class RemoteLLM:
    """Φ_LLM in a deployment.

    Args:
        handle: handle of the deployment.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    def complete(self, prompts: Sequence[str]) -> list[Answer]:
        """Return the model's answer to each prompt."""
        return list(call(self._handle, "complete", list(prompts)))

    def stream(self, prompts: Sequence[str], on_text: Callable[[int, str], None]) -> list[Answer]:
        """Return the model's answer to each prompt and report partial answers on the way."""
        return call_streaming(self._handle, list(prompts), on_text)


class RemoteDecoder:
    """The decoder in a deployment.

    Args:
        handle: handle of the deployment.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle

    def plan(
        self,
        video_id: str,
        path: str | Path,
        stride: int,
        snippets_per_chunk: int,
        stride_seconds: float = 0.0,
        folder_fps: float = DEFAULT_FPS,
    ) -> tuple[VideoInfo, list[Chunk]]:
        """Cut a video into chunks; see `exvad.video.chunks.plan_chunks`."""
        arguments = (video_id, str(path), stride, snippets_per_chunk, stride_seconds, folder_fps)
        plan: tuple[VideoInfo, list[Chunk]] = call(self._handle, "plan", *arguments)
        return plan

    def decode(self, chunk: Chunk, short_side: int | None = None) -> DecodedChunk:
        """Decode a chunk; see `exvad.video.decoding.decode_chunk`."""
        decoded: DecodedChunk = call(self._handle, "decode", chunk, short_side)
        return decoded


@dataclass(frozen=True)
class RemoteModels:
    """The frozen models of Figure 2 in deployments."""

    clip: RemoteClip
    captioner: RemoteCaptioner
    llm: RemoteLLM
