from typing import Any

import pytest

from app.identity.claim_paths import ABSENT, claim


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a", {"b": ["x", "y"]}),
        ("/a/b/1", "y"),
        ("a/b", "slash"),
        ("/a/c", None),
        ("/a/b/2", None),
        ("/a/b/x", None),
        ("/a/b/-", None),
        ("/a/b/0/0", None),
        ("b", None),
    ],
)
def test_a_path_selects_one_claim_or_none(path: str, value: Any) -> None:
    """A path is a JSON Pointer if it begins with a slash, and the name of a claim otherwise."""
    assert claim({"a": {"b": ["x", "y"]}, "a/b": "slash"}, path) == value


@pytest.mark.parametrize("path", ["b", "/a/c", "/a/b/-", "/a/b/2"])
def test_a_missing_claim_is_not_a_null_claim(path: str) -> None:
    """The default distinguishes the two."""
    claims = {"a": {"b": ["x"], "n": None}, "n": None}

    assert claim(claims, path, ABSENT) is ABSENT
    assert claim(claims, "n", ABSENT) is None
    assert claim(claims, "/a/n", ABSENT) is None
