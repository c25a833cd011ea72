"""Our own OpenAPI, taken at its word by schemathesis, with every kind of credential."""

from collections.abc import Callable

from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.planted import ORIGIN, Planted

PAGE = {"origin": ORIGIN, "x-vault-session": "1"}
CREDENTIALS: dict[str, Callable[[Planted], dict[str, str]]] = {
    "nothing": lambda _: {},
    "signed token": lambda world: world.callers()["signed token"][0],
    "opaque token": lambda world: world.callers()["opaque token"][0],
    "application": lambda world: world.callers()["application"][0],
    "token in a cookie": lambda world: world.callers()["token in a cookie"][0],
    "userinfo": lambda world: world.callers()["userinfo"][0],
    "service": lambda world: world.callers()["service"][0],
    "expired token": lambda world: {
        "authorization": f"Bearer {world.issuer.token(expires_in=-60)}"
    },
    "cookie of a foreign page": lambda world: {
        **world.callers()["application"][0],
        "origin": "https://evil.example",
    },
    "two credentials": lambda world: {
        **world.callers()["signed token"][0],
        **world.callers()["application"][0],
    },
}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
