"""The file of API keys."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from exvad.serving.api.keys import ApiKeys, includes


def sha256(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def test_lookup_scope_returns_the_widest_scope_of_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(
        f"# keys\n\nread {sha256('reader')}\nsubmit {sha256('both').upper()}\n"
        f"read {sha256('both')}\n"
    )
    keys = ApiKeys(path)
    assert keys.required
    assert keys.lookup_scope("reader") == "read"
    assert keys.lookup_scope("both") == "submit"
    assert keys.lookup_scope("unknown") is None


def test_api_keys_without_a_file_are_not_required() -> None:
    keys = ApiKeys(None)
    assert not keys.required
    assert keys.lookup_scope("any") is None


@pytest.mark.parametrize("line", ["root abc", f"root {sha256('x')}", "read abc", "read"])
def test_api_keys_name_the_line_of_an_invalid_key(tmp_path: Path, line: str) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# keys\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        ApiKeys(path)


def test_api_keys_name_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="No such file"):
        ApiKeys(tmp_path / "none")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ValueError, match="not a text file"):
        ApiKeys(tmp_path / "binary")


def test_includes_orders_the_scopes() -> None:
    assert includes("admin", "submit")
    assert includes("submit", "submit")
    assert not includes("read", "submit")
