"""Hashes that see every change, and files that are written whole."""

from __future__ import annotations

import hashlib
import os
import resource
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwflow.engine.artifacts import folder_hashes, value_hash, write_whole

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES))
def test_value_hash_ignores_the_order_of_keys(value: dict[str, Any]) -> None:
    assert value_hash(value) == value_hash(dict(reversed(value.items())))


@pytest.mark.parametrize("other", [{"a": [1, 3]}, {"a": [2, 1]}, {"b": [1, 2]}, {"a": "[1,2]"}])
def test_value_hash_tells_values_apart(other: dict[str, Any]) -> None:
    assert value_hash({"a": [1, 2]}) != value_hash(other)


def test_folder_hashes_every_file(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_bytes(b"data")
    (tmp_path / ".hidden").write_bytes(b"")
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    hashes = folder_hashes(tmp_path)
    assert list(hashes) == [".hidden", "a/b/c", "link"]
    assert hashes["a/b/c"] == hashlib.sha256(b"data").hexdigest()


def test_write_whole_replaces_or_leaves(tmp_path: Path) -> None:
    file = tmp_path / "file"
    write_whole(file, b"old")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            write_whole(file, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]
