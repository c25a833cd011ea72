"""Error messages for users contain no HTTP terms."""

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
# Files whose user_messages have other readers than the users of a page.
OTHER_READERS = {
    "app/middleware/cors.py": "developers: no page can read the response to a preflight request",
    "app/webhooks/": "the operator: Apideck's dashboard shows the response to an event",
    "app/check/": "the operator, on a terminal",
    "app/settings/": "the operator, on a terminal",
    "app/api/problem_type.py": "developers: advice on the page of a type",
    "app/api/problem_types.py": "both: the test of types checks `detail`; the rest is advice",
    "app/api/status_problems.py": "both, as for app/api/problem_types.py",
    "app/api/responses.py": "developers: descriptions in the OpenAPI document",
    "app/api/webhooks.py": "the operator, as for app/webhooks/",
    "app/api/security_schemes.py": "developers: descriptions in the OpenAPI document",
}
# Calls and arguments with text for developers: errors of single fields, and the OpenAPI document.
FOR_DEVELOPERS = {"FieldError"}
# Text for developers that is assigned to a variable first.
FIELD_ERRORS = {"This redirect URI is not registered."}
DESCRIPTIONS = {"description", "summary", "response_description", "title"}


def texts(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each string for users, without the values of f-strings."""
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


def user_messages() -> Iterator[tuple[str, str]]:
    """Yield the location and text of each sentence for users in the code.

    Reasons for the operator, settings and log events start with a lowercase letter.
    """
    for path in sorted((ROOT / "app").rglob("*.py")):
        if name(path).startswith(tuple(OTHER_READERS)):
            continue
        for line, text in texts(ast.parse(path.read_text())):
            if re.fullmatch(r"[A-Z].* .*\.", text, re.DOTALL) and text not in FIELD_ERRORS:
                yield f"{name(path)}:{line}", text


USER_MESSAGES = dict(user_messages())


@pytest.mark.parametrize("where", USER_MESSAGES)
def test_a_message_for_users_contains_no_http_terms(where: str) -> None:
    """A user can read each message; developers find advice on the page of the problem type."""
    assert not WORDS.search(USER_MESSAGES[where]), USER_MESSAGES[where]


def test_the_detail_of_every_problem_type_contains_no_http_terms() -> None:
    """The default detail of each problem type contains no HTTP terms, either."""
    for problem in ALL:
        assert not WORDS.search(problem.detail), problem.detail


@pytest.mark.parametrize("status", [one for one in HTTPStatus if one >= HTTPStatus.BAD_REQUEST])
def test_the_detail_of_every_status_contains_no_http_terms(status: HTTPStatus) -> None:
    """The detail for a status without its own problem type is a sentence for users, too."""
    detail = problem_type_of(HTTPException(status)).detail

    assert detail.endswith(".")
    assert not WORDS.search(detail), detail


def test_the_messages_are_found() -> None:
    """The tests above find the messages, however the code passes them on."""
    found = set(USER_MESSAGES.values())

    assert len(found) > 25
    assert "You are not signed in." in found
    assert any(text.startswith("Your account has no …") for text in found)
    assert any("Integrations are not available right now." in text for text in found)


def test_the_advice_to_authenticate_fits_every_configuration() -> None:
    """The advice refers to `securitySchemes` and names no kind of credential."""
    [advice] = [problem.advice for problem in ALL if problem.slug == "unauthenticated"]

    assert "`securitySchemes` in `/openapi.json`" in advice
    assert not re.search("authorization|bearer|cookie", advice, re.IGNORECASE)
