"""Requests that schemathesis generates from the OpenAPI document, with every credential."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import given, reject
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.main import create_app
from app.settings import Settings
from tests.support.apideck_events import sign
from tests.support.planted import ORIGIN, Planted, planted
from tests.support.ports import free_ports
from tests.support.process import serving, url

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
PATH = "/vault-session"
OPERATIONS = [
    (PATH, "POST"),
    ("/vault-connections", "GET"),
    ("/vault-connections/{unified_api}/{service_id}", "GET"),
]
POSITIVE = schemathesis.GenerationMode.POSITIVE
EVENTS = ["/webhooks/apideck", "/webhooks/apideck/{name}"]
SIGNATURE = "x-apideck-signature"
CLIENT = httpx.Client()
_SECRET = f"whsec_{'ZnV6ei1v' * 4}"
_MINIMUM = {
    "apideck": {"api_key": "only-for-the-schema", "app_id": "app"},
    "identity": {"issuers": {"main": {"issuer": "https://id.example.com", "audience": "x"}}},
    "webhooks": {"target_url": "https://app.example.com", "signing_secret": _SECRET},
}
_UNLIMITED = {"per_user": "unlimited", "per_service": "unlimited"}
DOCUMENT = create_app(Settings.model_validate(_MINIMUM)).openapi()


def credentials(world: Planted) -> dict[str, dict[str, str]]:
    """Return the headers of every kind of caller, and of requests that are rejected."""
    callers = {name: headers for name, (headers, _) in world.callers().items()}
    return {
        **callers,
        "no credential": {},
        "expired": {"authorization": f"Bearer {world.issuer.token(expires_in=-60)}"},
        "foreign page": {**callers["application"], "origin": "https://evil.example"},
        "two credentials": {**callers["signed token"], **callers["application"]},
        "page without a credential": {"origin": ORIGIN},
    }


KINDS = [
    "signed token",
    "opaque token",
    "application",
    "token in a cookie",
    "userinfo",
    "service",
    "no credential",
    "expired",
    "foreign page",
    "two credentials",
    "page without a credential",
]
REJECTED = {
    "no credential",
    "expired",
    "foreign page",
    "two credentials",
    "page without a credential",
}


@pytest.fixture(scope="module")
def running_service(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, dict[str, dict[str, str]], Planted]]:
    """Run the service as a process; yields its URL, headers of every kind, and its dependencies."""
    with planted() as world:
        environment = {
            **world.environment(free_ports()),
            "LIMITS": json.dumps(
                {**_UNLIMITED, "connections": {**_UNLIMITED, "per_consumer": "unlimited"}}
            ),
            "WEBHOOKS__TARGET_URL": world.traces_url,
            "WEBHOOKS__SIGNING_SECRET": _SECRET,
            "LOG": '{"level": "error"}',
        }
        output = tmp_path_factory.mktemp("fuzz") / "output"
        with output.open("w") as file, serving(environment, into=(file, file)) as process:
            yield url(environment, ""), credentials(world), world
            CLIENT.close()
            assert process.poll() is None
            process.terminate()
            process.wait(timeout=15)
        assert "unexpected_error" not in output.read_text()


# The tests choose the credentials, so schemathesis must not add or remove any.
DOCUMENT.pop("security")
schema = schemathesis.openapi.from_dict(DOCUMENT)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
@given(data=st.data())
def test_every_response_matches_the_document(
    running_service: tuple[str, dict[str, dict[str, str]], Planted],
    path: str,
    method: str,
    data: st.DataObject,
) -> None:
    """The response to any request of any caller matches the document, and is never a 500."""
    base_url, headers, _ = running_service
    kind = data.draw(st.sampled_from(KINDS))
    # For invalid parameters, the draws of schemathesis depend on earlier draws, which Hypothesis
    # rejects. test_no_query_causes_a_500 sends invalid parameters.
    modes = list(schemathesis.GenerationMode) if method == "POST" else [POSITIVE]
    case = data.draw(
        schema[path][method].as_strategy(generation_mode=data.draw(st.sampled_from(modes)))
    )

    response = case.call(base_url=base_url, headers=headers[kind])
    case.validate_response(response, checks=CHECKS)

    if kind in REJECTED:
        assert response.status_code in {400, 401, 403, 413}


@pytest.mark.parametrize("path", EVENTS)
@given(data=st.data())
def test_every_response_to_an_event_matches_the_document(
    running_service: tuple[str, dict[str, dict[str, str]], Planted],
    path: str,
    data: st.DataObject,
) -> None:
    """The response to any delivery matches the document, and only a signed one succeeds."""
    base_url, _, world = running_service
    signed = data.draw(st.booleans())
    case = data.draw(schema[path]["POST"].as_strategy(generation_mode=POSITIVE))
    key = world.canaries.api_key if signed else "another-key"
    request = requests.Request(**case.as_transport_kwargs(base_url=base_url)).prepare()
    body = request.body or b""
    assert isinstance(body, str | bytes)
    signature = sign(body.encode() if isinstance(body, str) else body, key)

    response = case.call(base_url=base_url, headers={SIGNATURE: signature})
    case.validate_response(response, checks=CHECKS)

    assert signed or response.status_code != 204


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**18) | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(body=st.binary(max_size=300) | json_values.map(json.dumps).map(str.encode))
def test_no_body_causes_a_500(
    running_service: tuple[str, dict[str, dict[str, str]], Planted], body: bytes
) -> None:
    """Any bytes from a known caller result in a session, or in a 4xx that is a problem."""
    base_url, headers, _ = running_service
    known = {**headers["service"], "content-type": "application/json"}

    response = CLIENT.post(f"{base_url}{PATH}", content=body, headers=known)

    assert response.status_code == 201 or 400 <= response.status_code < 500
    if response.status_code != 201:
        assert response.json()["status"] == response.status_code


@given(body=st.binary(max_size=300) | json_values.map(json.dumps).map(str.encode))
def test_no_event_causes_a_500(
    running_service: tuple[str, dict[str, dict[str, str]], Planted], body: bytes
) -> None:
    """Any bytes with a valid signature are an ignored event, or a 4xx that is a problem."""
    base_url, _, world = running_service
    signature = {SIGNATURE: sign(body, world.canaries.api_key)}

    response = CLIENT.post(f"{base_url}{EVENTS[0]}", content=body, headers=signature)

    assert response.status_code == 204 or 400 <= response.status_code < 500
    if response.status_code != 204:
        assert response.json()["status"] == response.status_code


query_names = st.sampled_from(["unified_api", "configured", "consumer_id", "cursor"]) | st.text()


@given(query=st.lists(st.tuples(query_names, st.text()), max_size=4))
def test_no_query_causes_a_500(
    running_service: tuple[str, dict[str, dict[str, str]], Planted], query: list[tuple[str, str]]
) -> None:
    """Any query from a known caller returns connections, or a 4xx that is a problem."""
    base_url, headers, _ = running_service
    try:
        request = CLIENT.build_request(
            "GET",
            f"{base_url}/vault-connections",
            params=httpx.QueryParams(tuple(query)),
            headers=headers["signed token"],
        )
    except UnicodeEncodeError:
        reject()

    response = CLIENT.send(request)

    assert response.status_code == 200 or 400 <= response.status_code < 500
    if response.status_code != 200:
        assert response.json()["status"] == response.status_code


def references(part: Any) -> Iterator[str]:
    """Yield every reference within a part of the document."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_in_the_document_resolves() -> None:
    """Client generators can follow every `$ref`."""
    for reference in references(DOCUMENT):
        part: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            part = part[name]
