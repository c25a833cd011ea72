"""The text is plain English, because many readers are not native speakers."""

import re
from pathlib import Path

import pytest

from tests.support.tools import ROOT

# pyproject.toml is not checked yet.
CHECKED = [
    ".ci",
    ".github",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Dockerfile",
    "Makefile",
    "README.md",
    "SECURITY.md",
    "app",
    "benchmarks",
    "clients",
    "deploy",
    "docs",
    "tests",
]
SUFFIXES = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".html",
    ".js",
    ".mjs",
    ".ts",
    ".tsx",
    ".css",
    "",
}

ARCHAIC = {
    "whoever, whomever": r"who(m)?ever",
    "those who, those whom": r"those whom?\b",
    "anew": r"anew",
    "for ever": r"for ever",
    "mend": r"(un)?mend(s|ed|ing|able)?",
    "nobody (say which client, caller or process)": r"nobody",
    "everybody, somebody": r"(every|some)body",
    "at hand": r"at hand",
    "is told, was told": r"(is|are|was|were|been) told",
    "told until": r"until told",
    "heard, hears": r"hear(s|d)?",
    "door, visitor, room": r"(doors?|visitors?|rooms?)",
    "made of, befell": r"(is|are|was|were) made of|befell",
    "came": r"came",
    "to be had, is had": r"(to be|is|are) had",
    "as it pleases, as you wish": r"as (it pleases|you wish)",
    "again and again": r"again and again",
    "is not there": r"(is|are|was|were) not there",
    "lest, thereof, whence, thus, hence": r"(lest|thereof|whence|thus|hence)",
    "a client of its": r"of (its|theirs|ours)(?=[.,;:])",
    "likewise": r"likewise",
    "blame": r"blam(e|es|ed|ing)",
    "say of, says of": r"sa(y|ys|id) of",
}
PATTERNS = {
    advice: re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)
    for advice, pattern in ARCHAIC.items()
}
# A symbol such as `test_nobody_else` is text, too.
SEPARATORS = str.maketrans("_\n", "  ")


def texts() -> list[Path]:
    """Return the text files whose wording is checked."""
    found = [ROOT / name for name in CHECKED]
    found += [path for folder in found for path in folder.rglob("*")]
    return sorted(
        path.relative_to(ROOT)
        for path in found
        if path.is_file()
        and path.suffix in SUFFIXES
        and "node_modules" not in path.parts
        and path.name != "LICENSE"
        and path != Path(__file__)
    )


@pytest.mark.parametrize("path", texts(), ids=str)
def test_the_text_is_plain_english(path: Path) -> None:
    """No file contains a word from the list of unclear words."""
    for number, line in enumerate((ROOT / path).read_text().splitlines(), start=1):
        for advice, pattern in PATTERNS.items():
            assert not pattern.search(line.translate(SEPARATORS)), f"{path}:{number}: {advice}"


def test_the_patterns_match_words_and_symbols() -> None:
    """A word is found inside a symbol and at the start of a sentence, but not inside a word."""
    for text in ("Whoever asks", "test_nobody_else_asks", "to mend it", "# anew"):
        assert any(pattern.search(text.translate(SEPARATORS)) for pattern in PATTERNS.values())
    for text in ("amendment", "come-back", "recommended", "outcomes", "doorstep"):
        assert not any(pattern.search(text) for pattern in PATTERNS.values()), text
