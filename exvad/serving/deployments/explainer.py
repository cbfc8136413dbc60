"""The deployment of the language model Φ_LLM, or of the client of what runs it."""

# No postponed annotations here: Ray Serve evaluates the annotations of deployments.

from collections.abc import AsyncIterator
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from exvad.aegm.explanation_format import explanation_schema
from exvad.config import Config
from exvad.encoders.answers import Answer
from exvad.serving.deployments.scaling import scale
from exvad.serving.language.loading import load_concurrent_llm
from exvad.serving.language.ray_engine import build_engine
from exvad.serving.settings import Replicas

CLIENT_CPUS = 0.1  # of the client of an engine, which computes nothing


@serve.deployment(name="Explainer", max_ongoing_requests=32)
class ExplainerDeployment:
    """The language model Φ_LLM. A request does not wait for the answers to those before it.

    Args:
        config: configuration of the served checkpoint.
        classes: class names, the normal class first.
        engine: handle of vLLM's deployment, for backend vllm.
    """

    def __init__(
        self, config: Config, classes: tuple[str, ...], engine: DeploymentHandle | None = None
    ) -> None:
        self._llm = load_concurrent_llm(config, explanation_schema(classes), engine)

    async def complete(self, prompts: list[str]) -> list[Answer]:
        """Complete prompts."""
        answers: list[Answer] = []
        async for partial_answers in self._llm.answer(prompts):
            answers = partial_answers
        return answers

    async def stream(self, prompts: list[str]) -> AsyncIterator[list[Answer]]:
        """Complete prompts; yield the partial answers again and again, and at last the answers."""
        async for answers in self._llm.answer(prompts):
            yield answers

    def check_health(self) -> None:
        """Raise an error if the model has stopped, so that Ray Serve replaces the replica."""
        self._llm.check_health()


def build_explainer(
    config: Config, classes: tuple[str, ...], replicas: Replicas, node: dict[str, Any]
) -> serve.Application:
    """Build the explainer; with backend vllm, it is the client of an engine with the resources.

    Args:
        config: configuration of the served checkpoint.
        classes: class names, the normal class first.
        replicas: the settings of the explainer, with the GPUs filled in.
        node: the options of the node that all replicas run on; see `on_node`.

    Raises:
        ValueError: backend vllm, and vLLM is not installed.
        ModelUnavailableError: backend vllm, and the model's configuration cannot be found.
    """
    deployment: Any = ExplainerDeployment
    application: serve.Application
    if config.llm.backend == "vllm":
        client = deployment.options(
            max_ongoing_requests=2 * replicas.concurrency * replicas.max_replicas,
            ray_actor_options={"num_cpus": CLIENT_CPUS, **node},
        )
        application = client.bind(config, classes, build_engine(config, replicas, node))
    else:
        application = scale(deployment, replicas, node).bind(config, classes)
    return application
