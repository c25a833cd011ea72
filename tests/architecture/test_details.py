"""What people read when something fails has no words of HTTP."""

import ast
import re
from collections.abc import Iterator
from http import HTTPStatus

import pytest
from starlette.exceptions import HTTPException

from app.api.problem_types import ALL
from app.api.problems import problem_type_of
from tests.support.tools import ROOT, name

WORDS = re.compile(
    r"""(?ix) (?<![\w-]) (?:
        https? | urls? | uris? | query | body | status | methods? | cors | csrf | preflight | origin
      | headers? | authorization | bearer | cookies? | content-type | media[ ]type | retry-after
      | [xX]-[\w-]+ | sec-[\w-]+ | \w*-?tokens? | credentials? | claims? | json | [1-5]\d\d
      | (?-i: GET | POST | PUT | OPTIONS )
    ) (?![\w-])"""
)
# Where sentences are for other readers than the people who use a page.
FOR_OTHERS = {
    "app/middleware/cors.py": "developers: no page can read the response to a preflight request",
    "app/webhooks/": "the operator: Apideck's dashboard shows the response to an event",
    "app/check/": "the operator, on a terminal",
    "app/settings/": "the operator, on a terminal",
    "app/api/problem_type.py": "developers: advice on the page of a type",
    "app/api/problem_types.py": "both: the test of types checks `detail`; the rest is advice",
    "app/api/status_problems.py": "the same",
    "app/api/responses.py": "developers: descriptions in the OpenAPI document",
    "app/api/webhooks.py": "the operator, as for app/webhooks/",
    "app/api/security_schemes.py": "developers: descriptions in the OpenAPI document",
}
# Arguments that developers read: the faults of single fields, and the OpenAPI document.
FOR_DEVELOPERS = {"FieldError"}
# The same, where a variable holds them.
FAULTS = {"This redirect URI is not registered."}
DESCRIPTIONS = {"description", "summary", "response_description", "title"}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Return the line and text of each string for people; an f-string's values are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            continue  # a docstring
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in FOR_DEVELOPERS:
            continue
        if isinstance(node, ast.keyword) and node.arg in DESCRIPTIONS:
            continue
        if isinstance(node, ast.JoinedStr):
            constants = [part for part in node.values if isinstance(part, ast.Constant)]
            yield node.lineno, "…".join(str(part.value) for part in constants)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value
        else:
            yield from texts(node)


def sentences() -> Iterator[tuple[str, str]]:
    """Return each sentence for people in the code, and where it is.

    Reasons for the operator, settings and events in the log begin with a small letter.
    """
    for path in sorted((ROOT / "app").rglob("*.py")):
        if name(path).startswith(tuple(FOR_OTHERS)):
            continue
        for line, text in texts(ast.parse(path.read_text())):
            if re.fullmatch(r"[A-Z].* .*\.", text, re.DOTALL) and text not in FAULTS:
                yield f"{name(path)}:{line}", text


SENTENCES = dict(sentences())


@pytest.mark.parametrize("where", SENTENCES)
def test_a_sentence_for_people_has_no_words_of_http(where: str) -> None:
    """A person can read it; advice for developers is on the page of the problem's type."""
    assert not WORDS.search(SENTENCES[where]), SENTENCES[where]


def test_the_detail_of_every_type_has_no_words_of_http() -> None:
    """The same holds for types whose errors have no sentence of their own."""
    for problem in ALL:
        assert not WORDS.search(problem.detail), problem.detail


@pytest.mark.parametrize("status", [one for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST])
def test_the_detail_of_every_status_has_no_words_of_http(status: HTTPStatus) -> None:
    """A status that has no type of its own has a sentence for people, too."""
    detail = problem_type_of(HTTPException(status)).detail

    assert detail.endswith(".")
    assert not WORDS.search(detail), detail


def test_the_sentences_are_found() -> None:
    """The tests above see what the code raises, whichever way it passes the sentence on."""
    found = set(SENTENCES.values())

    assert len(found) > 25
    assert "You are not signed in." in found
    assert any(text.startswith("Your account has no …") for text in found)
    assert any("Integrations are not available right now." in text for text in found)


def test_the_advice_to_authenticate_holds_for_every_configuration() -> None:
    """A service that accepts cookies only does not advise to send a token in a header."""
    [advice] = [problem.advice for problem in ALL if problem.slug == "unauthenticated"]

    assert "`securitySchemes` in `/openapi.json`" in advice
    assert not re.search("authorization|bearer|cookie", advice, re.IGNORECASE)
