"""Loading of the models that a configuration names."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

from exvad.config import Config, load_config
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.endpoint import EndpointLLM
from exvad.encoders.loading import LocalModels, ModelTooLargeError, load_captioner, load_llm
from exvad.encoders.memory_needs import ModelMemory
from tests.helpers.fakes import FakeEncoder


def test_local_models_load_a_model_at_its_first_use_and_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[Config] = []

    def load_clip(config: Config) -> FakeEncoder:
        loaded.append(config)
        return FakeEncoder()

    monkeypatch.setattr("exvad.encoders.loading.load_clip", load_clip)
    config = load_config("demo")
    models = LocalModels(config)
    assert loaded == []
    assert models.clip is models.clip
    assert loaded == [config]


@pytest.mark.parametrize("json_schema", [True, False])
def test_load_llm_hands_the_schema_to_an_endpoint_that_supports_it(json_schema: bool) -> None:
    config = load_config(
        "demo", ["llm.backend=openai", f"llm.endpoint.json_schema={str(json_schema).lower()}"]
    )
    llm = load_llm(config, max_new_tokens=7, schema={"type": "object"})
    assert isinstance(llm, EndpointLLM)
    assert llm.endpoint.max_new_tokens == 7
    assert llm.endpoint.schema == ({"type": "object"} if json_schema else None)


def test_load_captioner_uses_the_configured_backend() -> None:
    config = load_config("demo", ["captioner.backend=openai", "captioner.prompt=What?"])
    captioner = load_captioner(config)
    assert isinstance(captioner, EndpointCaptioner)
    assert captioner.prompt == "What?"


GIB = 2**30


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[LocalModels, list[str]]]:
    """Make local models on a device of 10 GiB; return them, and the order of loading."""

    def make(**gib: float) -> tuple[LocalModels, list[str]]:
        loaded: list[str] = []
        weights = {kind: ModelMemory(int(size * GIB)) for kind, size in gib.items()}

        def load(kind: str) -> Callable[..., object]:
            return lambda *_, **__: loaded.append(kind) or FakeEncoder()  # type: ignore[func-returns-value]

        monkeypatch.setattr("exvad.encoders.loading.device_memory", lambda device: 10 * GIB)
        monkeypatch.setattr(
            "exvad.encoders.loading.model_memory", lambda config, kind, uses_gpu: weights[kind]
        )
        for kind in ("captioner", "llm"):
            monkeypatch.setattr(f"exvad.encoders.loading.load_{kind}", load(kind))
        return LocalModels(load_config("ucf_crime", ["device=cpu"])), loaded

    return make


def test_models_that_fit_together_are_kept(
    small_device: Callable[..., tuple[LocalModels, list[str]]],
) -> None:
    models, loaded = small_device(clip=1, captioner=3, llm=4)
    for _ in range(2):
        assert models.captioner
        assert models.llm
    assert loaded == ["captioner", "llm"]


def test_a_model_is_freed_before_one_that_does_not_fit_beside_it(
    small_device: Callable[..., tuple[LocalModels, list[str]]],
) -> None:
    models, loaded = small_device(clip=0.3, captioner=4, llm=8)
    captioner = weakref.ref(models.captioner)
    assert captioner() is not None
    assert models.llm is models.llm
    assert captioner() is None
    assert models.captioner is not None
    assert loaded == ["captioner", "llm", "captioner"]


def test_a_model_that_can_never_fit_is_refused_before_anything_is_loaded(
    small_device: Callable[..., tuple[LocalModels, list[str]]],
) -> None:
    models, loaded = small_device(clip=0.3, captioner=4, llm=15)
    with pytest.raises(ModelTooLargeError, match=r"llm\.model needs 15\.0 GiB .* has 10\.0: take"):
        _ = models.captioner
    assert loaded == []
