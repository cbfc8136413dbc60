"""The deployment of the language model Φ_LLM, or of the client of what runs it."""

# No postponed annotations here: Ray Serve evaluates the annotations of deployments.

from collections.abc import AsyncIterator

from ray import serve
from ray.serve.handle import DeploymentHandle

from exvad.aegm.explanation_format import explanation_schema
from exvad.config import Config
from exvad.encoders.answers import Answer
from exvad.serving.language.loading import load_concurrent_llm


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
