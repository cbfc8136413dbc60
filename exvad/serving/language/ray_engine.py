"""A language model that vLLM runs as a deployment of Ray Serve (`ray.serve.llm`)."""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ray import serve

from exvad.encoders.answers import Answer
from exvad.encoders.chat import load_tokenizer, prompt_thoughts, tokenize_prompts
from exvad.encoders.engine import EngineError, engine_options
from exvad.encoders.model_files import resolve_model
from exvad.serving.language.interface import PartialAnswers

if TYPE_CHECKING:
    from ray.serve.handle import DeploymentHandle

    from exvad.config import Config, LLMConfig
    from exvad.serving.settings import Replicas

MODEL_NAME = "llm"
PREFIX = "Engine:"
# Ray joins words that come within this time; 50 ms by default.
JOIN_MILLISECONDS = 20


def engine_settings(
    config: Config, replicas: Replicas, node: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the arguments of Ray's `LLMConfig`.

    Args:
        config: the model and the settings of its engine.
        replicas: resources of one engine process, and the number of engines.
        node: the options of the node that all replicas run on; see `on_node`.

    Raises:
        ModelUnavailableError: the model's configuration cannot be found.
    """
    llm, gpus = config.llm, replicas.gpus or 0.0
    on_gpu = gpus > 0 and config.device != "cpu"
    worker = {"CPU": replicas.cpus, "GPU": gpus if on_gpu else 0.0}
    bundle = {name: amount for name, amount in worker.items() if amount} or {"CPU": 0.01}
    placement: dict[str, Any] = {"bundles": [bundle] * llm.engine.tensor_parallel}
    pinned: dict[str, Any] = {}
    if node:
        # The process that Ray adds is in the group of the workers, which has options of its own.
        placement["strategy"] = "STRICT_PACK"
        pinned["placement_group_bundle_label_selector"] = [node["label_selector"]]
    return {
        "model_loading_config": {
            "model_id": MODEL_NAME,
            "model_source": resolve_model(llm.model),
        },
        "engine_kwargs": engine_options(llm.model, llm.engine, llm.dtype, gpus if on_gpu else None),
        "placement_group_config": placement,
        "deployment_config": {
            "autoscaling_config": {
                "min_replicas": replicas.min_replicas,
                "max_replicas": replicas.max_replicas,
                "target_ongoing_requests": replicas.concurrency,
            },
            # The process that Ray adds to the workers computes nothing.
            "ray_actor_options": {"num_cpus": 0},
            **pinned,
        },
        "experimental_configs": {"stream_batching_interval_ms": JOIN_MILLISECONDS},
        "log_engine_metrics": False,
    }


def build_engine(config: Config, replicas: Replicas, node: Mapping[str, Any]) -> serve.Application:
    """Build the deployment of the engine. Ray is started if it does not run yet.

    Args:
        config: the model and the settings of its engine.
        replicas: resources of one engine process, and the number of engines.
        node: the options of the node that all replicas run on; see `on_node`.

    Raises:
        ValueError: vLLM is not installed.
        ModelUnavailableError: the model's configuration cannot be found.
    """
    require_vllm(config)
    # Ray imports vLLM with this, which takes seconds.
    from ray.serve.llm import LLMConfig as RayLLMConfig
    from ray.serve.llm import build_llm_deployment

    ray_config = RayLLMConfig(**engine_settings(config, replicas, node))
    application: serve.Application = build_llm_deployment(ray_config, name_prefix=PREFIX)
    return application


def require_vllm(config: Config) -> None:
    """Refuse to serve a language model by vLLM where vLLM is not installed.

    Args:
        config: the model and its backend.

    Raises:
        ValueError: vLLM is not installed in this environment.
    """
    if importlib.util.find_spec("vllm") is None:
        raise ValueError(
            "llm.backend=vllm: the server needs vLLM in its own environment (pip install "
            f"'exvad[vllm]'); or run `vllm serve {config.llm.model}` anywhere, and set "
            "llm.backend=openai with llm.endpoint.base_url"
        )


class RayEngineLLM:
    """A language model in a deployment of Ray Serve, with greedy decoding.

    Args:
        llm: the model.
        handle: handle of the deployment that `build_engine` made.
        schema: JSON schema that the answers are constrained to; None for free text.

    Raises:
        ModelUnavailableError: the tokenizer cannot be found.
    """

    def __init__(
        self, llm: LLMConfig, handle: DeploymentHandle, schema: Mapping[str, Any] | None
    ) -> None:
        self._model, self._handle = llm.model, handle
        self._max_new_tokens = llm.max_new_tokens
        self._tokenizer = load_tokenizer(llm.model)
        self._thoughts = prompt_thoughts(self._tokenizer)
        self._parameters: dict[str, Any] = {
            "model": MODEL_NAME,
            "max_tokens": llm.max_new_tokens,
            "temperature": 0.0,
            "stream": True,
        }
        if schema is not None:
            self._parameters["structured_outputs"] = {"json": dict(schema)}

    async def answer(self, prompts: Sequence[str]) -> AsyncIterator[list[Answer]]:
        """Yield the partial answers to prompts again and again, and at last the answers.

        Args:
            prompts: the prompts of one caller.

        Raises:
            EngineError: the engine failed.
        """
        partial_answers = PartialAnswers(len(prompts))
        token_ids = tokenize_prompts(self._tokenizer, prompts)
        requests = [self._answer(*item, partial_answers) for item in enumerate(token_ids)]
        async for answers in partial_answers.follow(asyncio.gather(*requests)):
            yield answers

    def check_health(self) -> None:
        """Do nothing: Ray checks the engine itself."""

    async def _answer(self, index: int, token_ids: list[int], reports: PartialAnswers) -> Answer:
        """Return the answer to one prompt, and report its text on the way."""
        from ray.serve.llm.openai_api_models import CompletionRequest

        # Token ids, since the chat interface would add a second token at the beginning.
        request = CompletionRequest(prompt=token_ids, **self._parameters)
        text, reason = self._thoughts, ""
        async for part in self._handle.options(stream=True).completions.remote(request):
            for event in read_events(part):
                if "error" in event:
                    return self._refuse(event["error"])
                for choice in event.get("choices", ()):
                    text += choice["text"]
                    reason = choice.get("finish_reason") or reason
            reports.set_text(index, text.strip())
        if not reason:
            raise EngineError(f"vLLM gave no whole answer with model {self._model!r}")
        return Answer(text.strip(), self._max_new_tokens if reason == "length" else 0)

    def _refuse(self, error: Mapping[str, Any]) -> Answer:
        """Return the refusal of a prompt.

        Raises:
            EngineError: the error is not about the prompt.
        """
        message = str(error.get("message", error))
        if error.get("code") != HTTPStatus.BAD_REQUEST:
            raise EngineError(f"vLLM failed with model {self._model!r} ({message})")
        return Answer("", refusal=message)


def read_events(part: Any) -> Iterator[dict[str, Any]]:
    """Yield the events in a part of Ray's answer to a streaming request.

    Args:
        part: an error, or a list of errors and of texts with lines `data: JSON`.
    """
    for item in part if isinstance(part, list) else [part]:
        if not isinstance(item, str):
            yield item.model_dump()
            continue
        for line in item.splitlines():
            field, _, data = line.partition(":")
            if field == "data" and data.strip() != "[DONE]":
                yield json.loads(data)
