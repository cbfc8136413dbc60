"""The language model of a configuration as the server runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exvad.encoders.endpoint import EndpointLLM
from exvad.encoders.llm import TransformersLLM
from exvad.encoders.loading import load_llm
from exvad.serving.language.continuous import ContinuousLLM
from exvad.serving.language.endpoint import ConcurrentEndpoint
from exvad.serving.language.ray_engine import RayEngineLLM

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

    from exvad.config import Config
    from exvad.serving.language.interface import ConcurrentLanguageModel


def load_concurrent_llm(
    config: Config, schema: Mapping[str, Any], engine: DeploymentHandle | None
) -> ConcurrentLanguageModel:
    """Load the language model, or connect to it.

    Args:
        config: the model and its backend.
        schema: JSON schema of the answers, for backends that can constrain a model to it.
        engine: handle of vLLM's deployment, for backend vllm.

    Raises:
        ModelUnavailableError: its checkpoint cannot be found.
        EngineError: transformers can't batch the model continuously.
    """
    if engine is not None:
        return RayEngineLLM(config.llm, engine, schema if config.llm.structured else None)
    llm = load_llm(config, schema=schema)
    if isinstance(llm, EndpointLLM):
        return ConcurrentEndpoint(llm.endpoint)
    assert isinstance(llm, TransformersLLM)
    return ContinuousLLM(llm, config.llm.batch_tokens)
