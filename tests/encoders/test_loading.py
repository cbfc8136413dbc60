"""Loading of the models that a configuration names."""

from __future__ import annotations

import pytest

from exvad.config import Config, load_config
from exvad.encoders.captioners.endpoint_captioner import EndpointCaptioner
from exvad.encoders.endpoint import EndpointLLM
from exvad.encoders.loading import LocalModels, load_captioner, load_llm
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
