"""The layout of the code: rules that import-linter can't state. `make lint` checks the layers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "exvad"
MAX_ROOMS = 28  # with zero_shot/, which detects without training
MAX_ENTRIES = 17
MAX_LINES = 420
CODE = ("exvad", "tests", "bench", "scripts", "jobs", "tune", "serve")


def python_files(*folders: str) -> list[Path]:
    """Return the Python files below folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def entries(folder: Path) -> list[str]:
    """Return the names in a folder, without caches."""
    return sorted(path.name for path in folder.iterdir() if path.name != "__pycache__")


def imported_modules(node: ast.AST) -> list[str]:
    """Return the modules that an import statement names; none for other nodes."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return []


def inner_imports(tree: ast.Module) -> Iterator[tuple[str, int, str]]:
    """Yield the imports inside functions: name of the function, line, module."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                for module in imported_modules(node)[:1]:
                    yield function.name, getattr(node, "lineno", 0), module


def public_names(init: Path) -> set[str]:
    """Return the functions and classes that the `__init__.py` of a package offers."""
    names: set[str] = set()
    for node in ast.parse(init.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names |= set(ast.literal_eval(node.value))
    return {name for name in names if not name.startswith("_")}


def test_no_circle_among_the_files_of_the_package() -> None:
    graph = grimp.build_graph("exvad", cache_dir=None)
    # The root offers the public names of all rooms for type checkers. It is not a room itself.
    imports = {
        module: graph.find_modules_directly_imported_by(module) - {"exvad"}
        for module in graph.modules - {"exvad"}
    }
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"circle of imports: {' → '.join(reversed(error.args[1]))}")


def test_own_modules_are_imported_at_the_top() -> None:
    found = []
    for path in python_files(*CODE):
        runs_a_verb = PACKAGE / "cli" / "verbs" in path.parents
        for function, line, module in inner_imports(ast.parse(path.read_text("utf-8"))):
            if module.split(".")[0] in CODE and not (runs_a_verb and function == "run"):
                found.append(f"{path.relative_to(ROOT)}:{line} imports {module} in {function}")
    assert found == []


def test_package_has_few_rooms_and_no_crowded_folder() -> None:
    assert len(entries(PACKAGE)) <= MAX_ROOMS
    folders = [path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__"]
    crowded = {
        str(folder.relative_to(ROOT)): len(entries(folder))
        for folder in folders
        if len(entries(folder)) > MAX_ENTRIES
    }
    assert crowded == {}


def test_no_file_is_long() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in python_files("exvad", "tests", "bench")
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}


def test_no_submodule_has_the_name_of_a_function_of_its_package() -> None:
    shared = [
        f"{init.parent.relative_to(ROOT)}: {name}"
        for init in sorted(PACKAGE.rglob("__init__.py"))
        for name in sorted(public_names(init))
        if (init.parent / f"{name}.py").exists() or (init.parent / name).is_dir()
    ]
    assert shared == []


def test_no_test_imports_another_test() -> None:
    found = []
    for path in python_files("tests"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            for module in imported_modules(node):
                if module.startswith("tests.") and module.split(".")[-1].startswith("test_"):
                    found.append(f"{path.relative_to(ROOT)} imports {module}")
    assert found == []


@pytest.mark.parametrize(
    "init", sorted(PACKAGE.rglob("__init__.py")), ids=lambda path: path.parent.name
)
def test_docstring_of_a_room_names_files_that_exist(init: Path) -> None:
    docstring = ast.get_docstring(ast.parse(init.read_text("utf-8"))) or ""
    for name in re.findall(r"`([\w/]+\.py|\w+/)`", docstring):
        assert (init.parent / name).exists() or (ROOT / name).exists(), f"{init}: {name}"
