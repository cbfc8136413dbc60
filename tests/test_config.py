"""The configuration: typed settings, presets, overrides, and suggestions for unknown keys."""

from __future__ import annotations

import string
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from exvad.config import (
    Config,
    ConfigError,
    build_config,
    dump_config,
    load_config,
    override_config,
    preset_names,
)


def sections(section: type[BaseModel], name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield every section of the configuration with its dotted name."""
    yield name, section
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from sections(field.annotation, f"{name}.{key}".lstrip("."))


SECTIONS = dict(sections(Config))


def test_preset_names_lists_the_packaged_presets() -> None:
    assert preset_names() == ["demo", "ucf_crime", "xd_violence"]


@pytest.mark.parametrize("preset", ["demo", "ucf_crime", "xd_violence"])
def test_load_config_reads_every_preset(preset: str) -> None:
    config = load_config(preset)
    assert config.data.kind == {"demo": "world"}.get(preset, preset)


def test_presets_have_the_settings_of_the_paper() -> None:
    ucf, xd = load_config("ucf_crime"), load_config("xd_violence")
    assert (ucf.model.window, ucf.model.layers, ucf.train.lambda_) == (8, 2, 1)
    assert (xd.model.window, xd.model.layers, xd.train.lambda_) == (64, 1, 1e-4)
    assert (ucf.train.learning_rate, xd.train.learning_rate) == (2e-5, 1e-5)
    assert (ucf.train.milestones, xd.train.milestones) == ([4, 8], [3, 6, 10])
    assert (ucf.train.batch_size, ucf.train.balanced) == (128, True)
    assert (xd.train.batch_size, xd.train.balanced) == (96, False)
    for config in (ucf, xd):
        assert (config.model.tau, config.labels.k, config.train.epochs) == (0.07, 4, 10)
        assert (config.model.features, config.model.skip) == ("raw", False)
        assert (config.model.centred_labels, config.train.text_dropout) == (False, 0)


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("train.epochs=3", 3),
        ("train.learning_rate=5e-4", 5e-4),
        ("train.gpu=true", True),
        ("train.milestones=[1, 2]", [1, 2]),
        ("train.lambda=0.5", 0.5),
        ("cleaning.window=4", 4),
        ("cleaning.window=null", None),
        ("model.fusion=add", "add"),
        ("data.world.seed=7", 7),
        (" llm.prompt =my=prompt.txt", "my=prompt.txt"),
        ("captioner.prompt=''", ""),
        ("run=runs/other", "runs/other"),
    ],
)
def test_load_config_reads_an_override_with_its_type(override: str, value: object) -> None:
    config: Any = load_config("demo", [override])
    for key in override.partition("=")[0].strip().split("."):
        config = getattr(config, "lambda_" if key == "lambda" else key)
    assert config == value
    assert type(config) is type(value)


def test_load_config_prefers_overrides_to_the_preset_and_later_ones_to_earlier_ones() -> None:
    config = load_config("demo", ["train.epochs=3", "data.kind=folder", "train.epochs=4"])
    assert (config.train.epochs, config.data.kind, config.train.batch_size) == (4, "folder", 32)


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("train.epoch=3", r"train\.epoch: no such key \(did you mean epochs\?\)"),
        ("trian.epochs=3", r"trian: no such key \(did you mean train\?\)"),
        ("train.lamda=1", r"train\.lamda: no such key \(did you mean lambda\?\)"),
        ("data.world.sed=3", r"data\.world\.sed: no such key \(did you mean seed\?\)"),
        ("cleaning.zzz=3", r"cleaning\.zzz: no such key \(known: window\)"),
    ],
)
def test_load_config_refuses_an_unknown_key_with_a_suggestion(override: str, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        load_config("demo", [override])


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("train.epochs=two", r"train\.epochs: .*integer.*got 'two'"),
        ('run="a\\0b"', r"run: .*no zero byte"),
        ("train.epochs=yes", r"train\.epochs: .*a number, got True"),
        ("train.batch_size=true", r"train\.batch_size: .*a number, got True"),
        ("model.tau=no", r"model\.tau: .*a number, got False"),
        ("train.seed=-5", r"train\.seed: .*got -5"),
        ("train.seed=99999999999999999999", r"train\.seed: .*less than 4294967296"),
        ("train.epochs=0", r"train\.epochs: .*greater than or equal to 1, got 0"),
        ("train.lambda=-1", r"train\.lambda: .*got -1"),
        ("train.milestones=[a]", r"train\.milestones\.0: .*got 'a'"),
        ("data.validation=2", r"data\.validation: .*less than 1, got 2"),
        ("data.world.seed=100", r"data\.world\.seed: .*less than 100"),
        ("model.fusion=sum", r"model\.fusion: .*'add', 'concat' or 'gated', got 'sum'"),
        ("cleaning.window=0", r"cleaning\.window: .*got 0"),
        ("data=3", r"data: .*DataConfig, got 3"),
        ("run.name=x", r"run\.name: run is a value, not a section"),
        ("train.epochs", r"override 'train\.epochs': write section\.field=value"),
        ("train.epochs=[", r"override 'train\.epochs=\[': not YAML .*; quote the value"),
    ],
)
def test_load_config_names_the_key_of_an_invalid_value(override: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        load_config("demo", [override])


def test_load_config_lists_every_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("demo", ["train.epochs=0", "model.widnow=3"])
    assert "train.epochs" in str(caught.value)
    assert "did you mean window?" in str(caught.value)


def test_load_config_blames_a_preset_only_for_its_own_settings(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("train: {seed: 7}\n")
    for preset in ("demo", str(path)):
        with pytest.raises(ConfigError) as caught:
            load_config(preset, ["train.epoch=3", "train.seed=-5"])
        problem, other = sorted(str(caught.value).split("; "))
        assert problem == "train.epoch: no such key (did you mean epochs?)"
        assert other.startswith("train.seed: ")
    path.write_text("train: {sed: 7}\n")
    with pytest.raises(ConfigError) as caught:
        load_config(str(path), ["train.epoch=3"])
    assert str(caught.value) == (
        "train.epoch: no such key (did you mean epochs?); "
        f"{path}: train.sed: no such key (did you mean seed?)"
    )


def test_override_config_names_the_setting_alone() -> None:
    with pytest.raises(ConfigError) as caught:
        override_config(load_config("demo"), {"model.tua": 1})
    assert str(caught.value) == "model.tua: no such key (did you mean tau?)"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"run: [", "not YAML"),
        (b"run: 2020-99-99", r"not YAML \(month must be in 1\.\.12\)"),
        (b"\xff\xfe\x00", "not YAML"),
        (b"- run", "a preset is a mapping of sections, not list"),
        (b"demo", "a preset is a mapping of sections, not str"),
    ],
)
def test_load_config_names_a_file_that_is_not_a_preset(
    tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=rf"mine\.yaml: {complaint}"):
        load_config(str(path))


def test_load_config_gives_the_defaults_for_an_empty_preset(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("# nothing yet\n")
    assert load_config(str(path)) == Config()


@pytest.mark.parametrize("preset", ["dmeo", "missing.yaml", "README.md"])
def test_load_config_lists_the_presets_for_an_unknown_one(preset: str) -> None:
    with pytest.raises(ConfigError, match=r"no preset .* one of demo, ucf_crime, xd_violence"):
        load_config(preset)


def test_lambda_has_its_own_name_in_yaml() -> None:
    config = build_config({"train": {"lambda": 0.25}})
    assert config.train.lambda_ == 0.25
    assert yaml.safe_load(dump_config(config))["train"]["lambda"] == 0.25


def test_config_is_immutable() -> None:
    config = Config()
    with pytest.raises(ValidationError, match="frozen"):
        config.train.epochs = 3  # type: ignore[misc]


@settings(max_examples=50, deadline=None)
@given(
    run=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20),
    prompt=st.sampled_from(["", "yes", "1", "null", "a: b", "#", "日本語"]),
    rate=st.floats(1e-9, 1e3),
    weight=st.floats(0, 1e6),
    window=st.none() | st.integers(1, 99),
    milestones=st.lists(st.integers(0, 99), max_size=4),
)
def test_dump_config_reads_back_the_same(
    run: str,
    prompt: str,
    rate: float,
    weight: float,
    window: int | None,
    milestones: list[int],
) -> None:
    config = build_config(
        {
            "run": run,
            "captioner": {"prompt": prompt},
            "cleaning": {"window": window},
            "train": {"learning_rate": rate, "lambda": weight, "milestones": milestones},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(dump_config(config), encoding="utf-8")
        assert load_config(str(path)) == config


def test_dump_config_keeps_line_separators_of_unicode(tmp_path: Path) -> None:
    config = build_config({"run": "runs/a\x85", "captioner": {"prompt": "Füße\u2028"}})
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    assert load_config(str(path)) == config


@pytest.mark.parametrize("preset", ["demo", "ucf_crime", "xd_violence"])
def test_dump_config_of_a_preset_reads_back_the_same(preset: str) -> None:
    config = load_config(preset)
    assert build_config(yaml.safe_load(dump_config(config))) == config


@pytest.mark.parametrize("name", SECTIONS)
def test_every_setting_has_a_description(name: str) -> None:
    section = SECTIONS[name]
    assert section.__doc__
    for key, field in section.model_fields.items():
        described = f"{name}.{key}".lstrip(".") in SECTIONS or field.description
        assert described, f"{name}.{key} has no description"


def test_paths_follow_from_the_run_unless_they_are_given() -> None:
    config = build_config({"run": "runs/mine"})
    assert config.store_path == "runs/mine/store"
    assert config.labels_path == "runs/mine/labels.json"
    assert config.mlflow_uri == "sqlite:///runs/mine/mlflow.db"
    other = build_config({"store": "s3://bucket/store", "mlflow": {"uri": "http://tracker"}})
    assert other.store_path == "s3://bucket/store"
    assert other.mlflow_uri == "http://tracker"


def test_run_may_be_a_uri_without_endpoint_and_keys() -> None:
    in_bucket = build_config({"run": "s3://bucket/runs/mine/"})
    assert in_bucket.store_path == "s3://bucket/runs/mine/store"
    assert in_bucket.in_run("seed0", "summary.json") == "s3://bucket/runs/mine/seed0/summary.json"
    assert in_bucket.mlflow_uri == "", "SQLite can't be in a bucket"
    assert not in_bucket.is_run_local
    assert build_config({"run": "file:///my%20runs/a"}).run == "/my runs/a"
    for uri in ("s3://key:secret@bucket/run", "s3://bucket/run?endpoint_override=http://host"):
        with pytest.raises(ValueError, match="variables of the environment"):
            build_config({"run": uri})


def test_override_config_changes_dotted_keys_of_a_copy() -> None:
    config = Config()
    changed = override_config(config, {"model.tau": 0.1, "train.lambda": 0.5})
    assert (changed.model.tau, changed.train.lambda_) == (0.1, 0.5)
    assert config == Config()
    with pytest.raises(ConfigError, match=r"model\.tua: no such key \(did you mean tau\?\)"):
        override_config(config, {"model.tua": 0.1})


@pytest.mark.parametrize("text", ["cam #1", " cam #1 ", "a: b #c"])
def test_override_keeps_what_yaml_takes_for_a_comment(text: str) -> None:
    assert load_config("demo", [f"run={text}"]).run == text.strip()


def test_quoted_override_is_yaml() -> None:
    assert load_config("demo", ["run='cam #1' # the yard"]).run == "cam #1"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("train: {epochs: 3}\ntrain: {seed: 1}\n", "'train' appears twice"),
        ("train: {epochs: 3, epochs: 4}\n", "'epochs' appears twice"),
        ("[" * 3000, "not YAML"),
        ("a: b: c\n", "not YAML"),
    ],
)
def test_preset_that_hides_something_is_refused(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "my.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=problem):
        load_config(str(path))


@pytest.mark.parametrize("preset", ["~no-such-user/x.yaml", "a" * 400 + ".yaml"])
def test_preset_whose_name_is_no_path_is_an_unknown_preset(preset: str) -> None:
    with pytest.raises(ConfigError, match="no preset"):
        load_config(preset)


@pytest.mark.parametrize(
    "override",
    [
        "device=gpu",
        "device=cuda:x",
        "train.learning_rate=.inf",
        "stages.decode_cpus=.nan",
        "data.validation=1",
        "data.test_crop=9",
        "stages.vision={min_actors: 5, max_actors: 1}",
    ],
)
def test_values_that_no_job_can_work_with_are_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=override.partition("=")[0].partition(".")[0]):
        load_config("demo", [override])


def test_password_in_the_url_of_an_endpoint_is_refused_and_not_shown() -> None:
    with pytest.raises(ConfigError, match="api_key_env") as refusal:
        load_config("demo", ["llm.endpoint.base_url=http://user:s3cret@host/v1"])
    assert "s3cret" not in str(refusal.value)


@settings(deadline=None, max_examples=40)
@given(
    override=st.sampled_from(
        [
            "llm.endpoint.base_url=http://user:{}@host/v1",
            "train.epochs=s3://user:{}@host/v1",
            "data=s3://user:{}@host/v1",
            "run=s3://user:{}@host/v1",
        ]
    ),
    password=st.text(string.printable),
)
def test_no_part_of_a_password_is_in_the_refusal_of_a_setting(override: str, password: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_config("demo", [override.format(f"qzx{password}vwk")])
    assert "qzx" not in str(refusal.value)
    assert "vwk" not in str(refusal.value)
