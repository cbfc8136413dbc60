"""The commands of docs/clusters.md for other programs name files, services, steps and targets."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from exvad.cli.main import build_parser
from exvad.cli.options import is_override
from exvad.config import load_config
from tests.helpers.kustomize import OVERLAYS, render

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "clusters.md").read_text("utf-8")
PATH = re.compile(r"(?<![\w/])(?:deploy/[\w./-]+|cluster[\w-]*\.yaml|compose\.yaml)")
WRITTEN = re.compile(r"deploy/base/secrets/[\w.]+")


def commands(program: str) -> Iterator[list[str]]:
    """Yield the command lines of a program on the page, as words."""
    for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.M | re.S):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == program:
                yield words


def test_files_on_the_page_exist() -> None:
    paths = {path.rstrip("/.") for path in PATH.findall(PAGE)}
    assert len(paths) > 10
    for path in paths:
        template = ROOT / f"{path}.example"
        assert (ROOT / path).exists() or (WRITTEN.fullmatch(path) and template.exists()), path


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_steps_on_the_page_select_objects_that_it_waits_for(overlay: str) -> None:
    objects = render(overlay)
    steps = {thing["metadata"]["labels"]["step"] for thing in objects}
    named = {(thing["kind"].lower(), thing["metadata"]["name"]) for thing in objects}
    applied = set()
    for words in commands("kubectl"):
        if words[1] == "apply":
            assert words[2] == "-k"
            assert (ROOT / words[3] / "kustomization.yaml").is_file()
            applied.add(words[words.index("-l") + 1].removeprefix("step="))
        else:
            assert words[1:4] == ["-n", "exvad", "wait"]
            assert tuple(words[-1].split("/")) in named
    # A sweep is optional, and in the text.
    assert applied == steps - {"sweep"}
    assert "`step=sweep`" in PAGE


def test_docker_commands_name_targets_profiles_and_services_that_exist() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    profiles = {name for service in services.values() for name in service.get("profiles", ())}
    verbs = []
    for words in commands("docker"):
        if words[1] == "build":
            assert (
                f" AS {words[words.index('--target') + 1]}\n"
                in (ROOT / words[words.index("-f") + 1]).read_text()
            )
        elif "run" in words:
            service, program, *arguments = words[words.index("run") + 2 :]
            assert service in services
            assert program == "exvad"
            options, rest = build_parser().parse_known_args(arguments)
            overrides = [*rest, *options.overrides]
            assert all(map(is_override, overrides)), overrides
            assert load_config(options.preset, overrides).run == "/runs/ucf_crime"
            verbs.append(arguments[0])
        elif "--profile" in words:
            assert words[words.index("--profile") + 1] in profiles
    assert verbs == ["check", "preprocess", "labels", "train", "evaluate"]


def test_ray_commands_name_cluster_files_and_entry_scripts() -> None:
    scripts = []
    for words in commands("ray"):
        if words[1] in ("up", "down", "dashboard", "rsync-up", "rsync-down"):
            assert (ROOT / words[2]).is_file(), words
        elif words[1] == "job":
            scripts.append(words[words.index("python") + 1])
            assert any(word.startswith("run=/mnt/exvad/") for word in words)
    assert [Path(script).stem for script in scripts] == [
        "preprocess", "labels", "train", "evaluate"
    ]  # fmt: skip
    assert all((ROOT / script).is_file() for script in scripts)


def test_stack_gets_the_parameters_that_it_has() -> None:
    (words,) = [words for words in commands("aws") if "deploy" in words]
    template = (ROOT / words[words.index("--template-file") + 1]).read_text()
    given = {word.partition("=")[0] for word in words if "=" in word}
    # The tags of CloudFormation, such as !Ref, are not known to a plain reader.
    section = template.partition("\nParameters:\n")[2].partition("\nResources:\n")[0]
    assert given == set(re.findall(r"^  (\w+):$", section, re.M))


def test_installed_extras_exist() -> None:
    extras = set(re.findall(r"\[(\w+)\]'", PAGE))
    project = (ROOT / "pyproject.toml").read_text()
    assert extras == {"aws"}
    assert all(f"\n{name} = [" in project for name in extras)
