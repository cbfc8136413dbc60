"""README and docs: links, commands, configuration keys, modules and files that exist."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import yaml

from exvad.cli.main import VERBS, build_parser
from exvad.cli.options import is_override
from exvad.config import Config, build_config, load_config
from exvad.serving.settings import Replicas, ServerSettings, parse_settings
from scripts.docs.command_line import command_line
from scripts.docs.configuration import configuration_keys, configuration_tables
from scripts.docs.diagrams import layers, rooms
from scripts.docs.generate import fill
from scripts.docs.http_api import http_api, openapi
from tests.helpers.checkpoints import save_untrained_checkpoint
from tests.helpers.videos import write_video

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
RECORDS = sorted((DOCS / "decisions").glob("[0-9]*.md"))
# The changelog names what no longer exists, so only its links are checked.
CHANGELOG = ROOT / "CHANGELOG.md"
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "examples").glob("*.md"))
    if path not in (*RECORDS, CHANGELOG)
)
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.M | re.S)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+?)(?: \{ #([\w.-]+) \})?$", re.M)
SECTIONS = tuple(name for name in Config.model_fields if "." not in name)
KEY = re.compile(rf"(?:{'|'.join(SECTIONS)})(?:\.[a-z_]+)+")
# Keys of scripts/scale.yaml, which scripts/scale.py takes as overrides of the same form.
SCALE = set(yaml.safe_load((ROOT / "scripts" / "scale.yaml").read_text("utf-8")))
FILE_SUFFIXES = (".csv", ".db", ".json", ".npz", ".parquet", ".py", ".safetensors", ".yaml")
# Names that look like a module: a key in the metadata of Parquet manifests.
NO_MODULES = {"exvad.classes"}
FOLDERS = ("exvad", "jobs", "tune", "serve", "bench", "scripts", "deploy", "examples", "tests")


def name_of(page: Path) -> str:
    """The path of a page from the root of the repository."""
    return page.relative_to(ROOT).as_posix()


@cache
def text_of(page: Path) -> str:
    """The Markdown of a page, with what is generated into it."""
    return fill(page.read_text("utf-8"))


def prose_of(page: Path) -> str:
    """The Markdown of a page without its code blocks."""
    return FENCE.sub("", text_of(page))


def inline_code(page: Path) -> list[str]:
    """The pieces of inline code of a page."""
    return INLINE.findall(prose_of(page))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page: its headings, and the objects that it documents."""
    found = set()
    for title, named in HEADING.findall(prose_of(page)):
        plain = re.sub(r"[^\w\s-]", "", title.lower()).strip()
        found.add(named or re.sub(r"[\s]+", "-", plain))
    return found | set(re.findall(r"^::: ([\w.]+)$", text_of(page), re.M))


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """The command lines of exvad on a page, with their arguments; scripts count as their verb."""
    blocks = [body for _, kind, body in FENCE.findall(text_of(page)) if kind == "sh"]
    lines = [line for body in blocks for line in body.splitlines()]
    for line in (*lines, *inline_code(page)):
        command = line.strip().rsplit(" -- ", 1)[-1].partition(" #")[0].removesuffix(" &")
        if "…" in command.split(" ")[0] or not re.match(r"(exvad|python) ", command):
            continue
        words = shlex.split(command)
        if words[0] == "exvad":
            yield command, words[1:]
        elif words[1].startswith("jobs/"):
            yield command, [Path(words[1]).stem, *words[2:]]
        elif words[1] == "tune/sweep.py":
            yield command, ["sweep", *words[2:]]


@pytest.mark.parametrize("page", [*PAGES, *RECORDS, CHANGELOG], ids=name_of)
def test_page_links_to_files_and_anchors_that_exist(page: Path) -> None:
    for target in LINK.findall(prose_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{target} does not exist"
        if anchor:
            assert anchor in anchors(linked), f"{target}: no such anchor"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_shows_commands_that_exvad_understands(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command, arguments in commands(page):
        if len(arguments) == 1 and arguments[0] in VERBS:  # a mention, without arguments
            continue
        try:
            options, rest = build_parser().parse_known_args(arguments)
        except SystemExit as end:
            if end.code:
                pytest.fail(f"{command}: {capsys.readouterr().err}")
            continue
        overrides = [*rest, *getattr(options, "overrides", [])]
        assert all(map(is_override, overrides)), f"{command}: {rest} is not understood"
        for override in overrides:
            assert override.partition("=")[0] in configuration_keys(), f"{command}: {override}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_names_configuration_keys_and_values_that_exist(page: Path) -> None:
    for code in inline_code(page):
        overrides = []
        for word in code.split():
            key, separator, value = word.partition("=")
            is_file = key.endswith(FILE_SUFFIXES)
            if is_file or not KEY.fullmatch(key) or key.split(".")[0] in SCALE:
                continue
            assert key in configuration_keys(), f"{word}: no such key"
            if separator and value and "…" not in value:
                overrides.append(word)
        load_config("demo", overrides)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_names_modules_and_files_that_exist(page: Path) -> None:
    for code in inline_code(page):
        if run := re.match(r"python -m ([\w.]+)", code):
            assert find_module(run[1]) is not None, f"{code}: no such module"
        elif re.fullmatch(r"exvad(\.\w+)+", code) and code not in NO_MODULES:
            assert resolves(code), f"{code} is not importable"
        elif re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]*", code):
            assert (ROOT / code).exists(), f"{code} does not exist"
        elif re.fullmatch(r"[a-z_]+/[a-z_]+\.py", code):
            assert (ROOT / "exvad" / code).exists(), f"exvad/{code} does not exist"


def test_every_row_of_what_is_supported_names_a_test() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", prose_of(DOCS / "data-formats.md"), re.M)
    headed = [table.splitlines() for table in tables]
    checked = [rows for rows in headed if rows[0].rstrip(" |").endswith((" test", " tested in"))]
    assert [rows[0].split("|")[1].strip() for rows in checked] == ["kind", "labels", "format"]
    for row in (row for rows in checked for row in rows[2:]):
        named = INLINE.findall(row.rstrip(" |").rpartition("|")[2])
        assert named, f"{row}: names no test"
        for name in named:
            assert re.search(r"^def test_", (ROOT / name).read_text("utf-8"), re.M), name


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module = name
    while find_module(module) is None:
        module = module.rpartition(".")[0]
    if module == name:
        return True
    found: object = importlib.import_module(module)
    for attribute in name.removeprefix(f"{module}.").split("."):
        if not hasattr(found, attribute):
            return False
        found = getattr(found, attribute)
    return True


def find_module(name: str) -> ModuleSpec | None:
    """The module of this name, without importing more than the packages it is in."""
    try:
        return importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None


def test_serving_page_names_settings_fields_and_metrics_that_exist() -> None:
    models = openapi()["components"]["schemas"].values()
    names = {name for model in models for name in model["properties"]}
    names |= {*ServerSettings.model_fields, *Replicas.model_fields}
    names |= set(
        re.findall(r"exvad_\w+", (ROOT / "exvad/serving/api/metrics.py").read_text("utf-8"))
    )
    for code in inline_code(DOCS / "serving.md"):
        if re.fullmatch(r"[a-z]+(_[a-z]+)+(\{\w+\})?", code):
            assert code.partition("{")[0].removesuffix("_total") in names, code


@pytest.mark.parametrize(
    "page", ["serving.md", "configuration.md", "getting-started.md", "zero-shot.md"]
)
def test_yaml_examples_are_valid(page: str) -> None:
    blocks = [body for _, kind, body in FENCE.findall(text_of(DOCS / page)) if kind == "yaml"]
    for block in blocks:
        values = yaml.safe_load(block)
        if page == "serving.md":
            parse_settings(values, page)
        else:
            build_config(values, page)


def test_python_api_pages_document_modules_that_exist() -> None:
    for page in (DOCS / "python-api").glob("*.md"):
        for name in re.findall(r"^::: ([\w.]+)$", page.read_text("utf-8"), re.M):
            assert resolves(name), f"{page.name}: {name}"


def test_readme_python_lines_run_on_the_demo_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    blocks = [body for _, kind, body in FENCE.findall(readme) if kind == "python"]
    (lines,) = [body for body in blocks if body.startswith("import exvad\n")]
    monkeypatch.chdir(tmp_path)
    save_untrained_checkpoint(tmp_path / "runs" / "demo" / "checkpoint")
    video = tmp_path / "runs" / "demo" / "videos" / "seed0" / "test0000.mp4"
    video.parent.mkdir(parents=True)
    write_video(video, 48, size=(64, 48))
    exec(compile(lines, "README.md", "exec"), {})
    assert "summary=" in capsys.readouterr().out


def test_decision_records_are_numbered_dated_and_listed() -> None:
    index = (DOCS / "decisions" / "index.md").read_text("utf-8")
    for number, path in enumerate(RECORDS, 1):
        record = path.read_text("utf-8")
        title, date, status = re.match(
            rf"# {number}\. (.+)\n\n- Date: (\d{{4}}-\d\d-\d\d)\n- Status: (.+)\n", record
        ).groups()  # type: ignore[union-attr]
        headings = re.findall(r"^## (.+)$", record, re.M)
        assert headings == ["Context", "Decision", "Consequences"], path.name
        row = f"| [{number:04d}]({path.name}) | {title} | {date} | {status} |"
        assert row in index, f"decisions/index.md lacks {row}"


def test_configuration_tables_list_every_key() -> None:
    tables = configuration_tables()
    sections = {key.rpartition(".")[0] for key in configuration_keys()}
    for key in configuration_keys() - sections:
        section = key.rpartition(".")[0]
        repeated = f"### `{section}`\n\nThe keys and defaults of" in tables
        assert f"| `{key}` |" in tables or repeated, key


def test_http_api_lists_every_operation_and_model() -> None:
    page, document = http_api(), openapi()
    for path, item in document["paths"].items():
        for method in item:
            assert f"### {method.upper()} {path} " in page
    for model in document["components"]["schemas"]:
        assert f"### {model} " in page


def test_command_line_lists_every_verb() -> None:
    page = command_line()
    assert all(f"## exvad {verb}" in page for verb in VERBS)


def test_rooms_drawing_shows_every_room_of_the_contract() -> None:
    drawing = rooms()
    assert "cli" in layers()[0]
    assert all(f">exvad/{room}<" in drawing for row in layers() for room in row)


def test_fill_refuses_a_mark_without_a_generator() -> None:
    with pytest.raises(ValueError, match="no generator 'nonsense'"):
        fill("<!-- generated: nonsense -->")
