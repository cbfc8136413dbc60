"""Load the frozen models that a configuration names."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exvad.data.storage.packaged import PACKAGE_PREFIX
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.captioners.engine_captioner import EngineCaptioner
from exvad.encoders.captioners.transformers_captioner import TransformersCaptioner
from exvad.encoders.clip import ClipEncoder
from exvad.encoders.devices import device_memory, resolve_device
from exvad.encoders.endpoint import ChatEndpoint, EndpointLLM
from exvad.encoders.engine import EngineLLM
from exvad.encoders.llm import TransformersLLM
from exvad.encoders.memory_needs import model_memory

if TYPE_CHECKING:
    import torch

    from exvad.config import Config
    from exvad.encoders.model_files import ModelKind
    from exvad.encoders.protocols import Captioner, LanguageModel

GIB = 2**30
LOCAL_KINDS: tuple[ModelKind, ...] = ("clip", "captioner", "llm")
USED_SHARE = 0.9  # of the memory of a device; the rest is for the batches


def load_clip(config: Config) -> ClipEncoder:
    """Load the image and text encoder.

    Raises:
        ModelUnavailableError: its weights cannot be found.
    """
    clip = config.clip
    return ClipEncoder(clip.model, clip.pretrained, config.device, clip.dtype, clip.batch_size)


def load_captioner(
    config: Config,
) -> TransformersCaptioner | EndpointCaptioner | EngineCaptioner:
    """Load the captioner.

    Raises:
        ModelUnavailableError: its checkpoint cannot be found.
        ClipsUnsupportedError: `captioner.frames` exceeds 1 and the model takes one frame only.
    """
    captioner = config.captioner
    if captioner.backend == "openai":
        endpoint = ChatEndpoint(captioner.model, captioner.endpoint, captioner.max_new_tokens)
        return EndpointCaptioner(endpoint, captioner.prompt)
    if captioner.backend == "vllm":
        return EngineCaptioner(captioner, config.device)
    return TransformersCaptioner(
        captioner.model,
        captioner.prompt,
        config.device,
        captioner.dtype,
        captioner.batch_size,
        captioner.max_new_tokens,
        captioner.frames,
    )


def load_llm(
    config: Config,
    max_new_tokens: int | None = None,
    schema: Mapping[str, Any] | None = None,
) -> LanguageModel:
    """Load the language model.

    Args:
        config: the model and its backend.
        max_new_tokens: maximum length of an answer; None for the configured one.
        schema: JSON schema of the answers, for backends that can constrain a model to it.

    Raises:
        ModelUnavailableError: its checkpoint cannot be found.
    """
    llm = config.llm
    length = max_new_tokens or llm.max_new_tokens
    if llm.backend == "openai":
        endpoint_schema = schema if llm.endpoint.json_schema else None
        return EndpointLLM(ChatEndpoint(llm.model, llm.endpoint, length, endpoint_schema))
    if llm.backend == "vllm":
        return EngineLLM(llm, config.device, length, schema if llm.structured else None)
    return TransformersLLM(
        llm.model, config.device, llm.dtype, llm.batch_size, length, llm.batch_tokens
    )


class ModelTooLargeError(ValueError):
    """A model does not fit the memory of its device; the message says what to do."""


class LocalModels:
    """The frozen models of a configuration in this process, each loaded at its first use.

    Where the captioner and the language model do not fit the device together, each is freed before
    the other is loaded.

    Args:
        config: the models and their backends.
        schema: JSON schema of the language model's answers, for backends that can constrain a
            model to it.
    """

    def __init__(self, config: Config, schema: Mapping[str, Any] | None = None) -> None:
        self._config = config
        self._schema = schema

    @cached_property
    def clip(self) -> ClipEncoder:
        """The image and text encoder; see `load_clip`."""
        return load_clip(self._config)

    @cached_property
    def captioner(self) -> Captioner:
        """The captioner; see `load_captioner`.

        Raises:
            ModelTooLargeError: it or the language model does not fit the device.
        """
        self._make_room("llm")
        return load_captioner(self._config)

    @cached_property
    def llm(self) -> LanguageModel:
        """The language model; see `load_llm`.

        Raises:
            ModelTooLargeError: it or the captioner does not fit the device.
        """
        self._make_room("captioner")
        return load_llm(self._config, schema=self._schema)

    def _make_room(self, other: ModelKind) -> None:
        """Free a model if it does not fit beside the one that is loaded next."""
        fit_together = self._fit_together  # refuses a model before the other one has worked
        if other in self.__dict__ and not fit_together:
            del self.__dict__[other]
            free_memory()

    @cached_property
    def _fit_together(self) -> bool:
        """Whether the device holds all models at the same time.

        Raises:
            ModelTooLargeError: it does not even hold one of them beside CLIP.
        """
        device = resolve_device(self._config.device)
        available = device_memory(device)
        needs = {kind: weight_bytes(self._config, kind, device) for kind in LOCAL_KINDS}
        for kind in ("captioner", "llm"):
            if needs[kind] and needs["clip"] + needs[kind] > available:
                raise ModelTooLargeError(
                    f"{kind}.model needs {needs[kind] / GIB:.1f} GiB on the {device.type}, which "
                    f"has {available / GIB:.1f}: take a smaller or a quantised model, or a server "
                    f"({kind}.backend=openai with {kind}.endpoint.base_url)"
                )
        has_engine = "vllm" in (self._config.captioner.backend, self._config.llm.backend)
        # vLLM takes nearly all of a GPU when it starts.
        shared = has_engine and device.type == "cuda" and all(needs.values())
        return not shared and sum(needs.values()) <= USED_SHARE * available


def weight_bytes(config: Config, kind: ModelKind, device: torch.device) -> int:
    """Return the memory of a model's weights; 0 if it runs elsewhere, is tiny or is not known yet.

    Args:
        config: the models and their backends.
        kind: which of them.
        device: where it runs.
    """
    if kind == "clip":
        model, is_remote = config.clip.model, False
    else:
        section = config.captioner if kind == "captioner" else config.llm
        model, is_remote = section.model, section.backend == "openai"
    if is_remote or model.startswith(PACKAGE_PREFIX):
        return 0
    try:
        return model_memory(config, kind, uses_gpu=device.type == "cuda").weights
    except ValueError:
        return 0


def free_memory() -> None:
    """Give back the memory of models that are no longer referred to."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()
