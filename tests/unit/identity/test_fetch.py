import asyncio
from typing import Any

import httpx
import pytest

from app.common.circuit_breaker import Thresholds
from app.common.transport import NoDescriptorError
from app.errors import IdentityProviderUnavailableError
from app.identity.fetch import MAX_RESPONSE_BYTES, Fetcher, Response
from tests.support.in_process import Body, Network, messages

URL = "https://id.example/document"
OTHER = "https://id.example/other"


def outcomes(network: Network) -> dict[str, float]:
    """Return the number of requests to the issuer's host, by outcome."""
    samples = (
        (outcome, network.metrics.registry.get_sample_value(
            "vault_bff_identity_requests_total", {"host": "id.example", "outcome": outcome}
        ))
        for outcome in ("answered", "failed", "not-asked", "abandoned")
    )  # fmt: skip
    return {outcome: value for outcome, value in samples if value is not None}


async def failure(fetcher: Fetcher, url: str = URL) -> tuple[str | None, float | None]:
    """Return the operator's message and the retry time of a failed request."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await fetcher.get_json(url)
    detail, reason = messages(error.value)
    assert detail == "Your sign-in cannot be checked right now. Try again shortly."
    return reason, error.value.retry_after


async def test_a_get_request_accepts_only_uncompressed_json() -> None:
    """A compressed response could expand to any size."""
    network = Network({URL: {"a": [1]}})

    response = await network.fetcher.get(URL, {"cookie": "sid=abc"})

    assert response.json() == {"a": [1]}
    [request] = network.requests
    assert (request.method, str(request.url)) == ("GET", URL)
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["cookie"] == "sid=abc"
    assert outcomes(network) == {"answered": 1}


@pytest.mark.parametrize(
    ("auth", "header"), [(None, None), (httpx.BasicAuth("a", "b"), "Basic YTpi")]
)
async def test_a_form_is_posted(auth: httpx.BasicAuth | None, header: str | None) -> None:
    """The request has the credentials of this service, if there are any."""
    network = Network({URL: {"active": False}})

    response = await network.fetcher.post_form(URL, {"token": "a b&c"}, auth)

    assert response == Response(URL, 200, b'{"active": false}')
    [request] = network.requests
    assert (request.method, request.content) == ("POST", b"token=a+b%26c")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers.get("authorization") == header


@pytest.mark.parametrize("status", [200, 201, 302, 401, 404, 499, 500, 501])
async def test_a_response_with_a_status_other_than_502_503_and_504_is_returned(status: int) -> None:
    """The caller of the fetcher decides what it means; redirects are not followed."""
    network = Network({URL: httpx.Response(status, headers={"location": OTHER}, stream=Body(b"x"))})

    assert await network.fetcher.get(URL, {"a": "b"}) == Response(URL, status, b"x")
    assert network.requests[0].headers["a"] == "b"
    assert network.urls() == [URL]
    assert outcomes(network) == {"answered" if status < 500 else "failed": 1}


@pytest.mark.parametrize(
    ("response", "reason", "outcome"),
    [
        (500, "responded with 500", "failed"),
        (503, "responded with 503", "failed"),
        (201, "responded with 201", "answered"),
        (404, "responded with 404", "answered"),
        (httpx.ConnectError("x"), "ConnectError", "failed"),
        (httpx.ReadError("x"), "ReadError", "failed"),
        (httpx.ReadTimeout("x"), "no response within 5 s", "failed"),
        (
            b"[1{",
            "responded with text that is not valid JSON: Expecting ',' delimiter at character 2",
            "answered",
        ),
    ],
)
async def test_every_failure_to_get_a_json_document_is_one_error(
    response: Any, reason: str, outcome: str
) -> None:
    """The caller can try again in five seconds, and the reason describes the failure."""
    network = Network({URL: response})

    assert await failure(network.fetcher) == (f"{URL}: {reason}", 5)
    assert outcomes(network) == {outcome: 1}


@pytest.mark.parametrize("more", [0, 1])
async def test_a_response_has_a_maximum_size(more: int) -> None:
    """A longer response is not read to its end, and its connection is closed."""
    body = Body(b"[" + b" " * (MAX_RESPONSE_BYTES - 3), b"1", b"]" + b" " * more)
    network = Network({URL: httpx.Response(200, stream=body)})

    if more:
        too_long = f"{URL}: responded with more than {MAX_RESPONSE_BYTES} bytes"
        assert await failure(network.fetcher) == (too_long, 5)
    else:
        assert await network.fetcher.get_json(URL) == [1]
    assert body.closed


async def test_the_whole_exchange_has_a_time_limit() -> None:
    """An endpoint that responds too late is a failure."""
    network = Network()

    async def late() -> int:
        for _ in range(100):
            await asyncio.sleep(0)
        return 200

    network.responses[URL] = late

    assert await failure(network.fetcher_with(0)) == (f"{URL}: no response within 0 s", 5)
    assert outcomes(network) == {"failed": 1}
    assert await network.fetcher_with(2.5).get_json(URL) == {}


@pytest.mark.parametrize(
    "response",
    [502, 503, 504, httpx.ConnectError("x"), httpx.ConnectTimeout("x"), httpx.ReadTimeout("x")],
)
async def test_no_requests_are_sent_to_an_endpoint_that_fails(response: Any) -> None:
    """Its circuit breaker opens; other endpoints on the same host have their own breakers."""
    network = Network({URL: response, OTHER: []})
    fetcher = network.fetcher_with(5, thresholds=Thresholds(min_calls=2, open_seconds=40))
    for _ in range(2):
        await failure(fetcher)

    reason, retry_after = await failure(fetcher)

    assert reason == f"{URL}: no request sent, because the last ones failed"
    assert 30 < (retry_after or 0) <= 40
    assert network.urls() == [URL, URL]
    assert await fetcher.get_json(OTHER) == []
    assert outcomes(network) == {"failed": 2, "not-asked": 1, "answered": 1}


@pytest.mark.parametrize(
    "response",
    [
        400,
        401,
        404,
        429,
        500,
        501,
        505,
        b"<h1>",
        b" " * (MAX_RESPONSE_BYTES + 1),
        httpx.ReadError("x"),
        httpx.RemoteProtocolError("x"),
        ValueError("Try again"),
    ],
)
async def test_a_response_to_one_credential_does_not_open_the_breaker(response: Any) -> None:
    """Otherwise, a few made-up credentials would block every caller."""
    network = Network({URL: response})
    fetcher = network.fetcher_with(5, thresholds=Thresholds(min_calls=2))
    for _ in range(4):
        with pytest.raises((IdentityProviderUnavailableError, ValueError), match="Try again"):
            await fetcher.get_json(URL)

    assert len(set(network.urls())) == 1
    assert len(network.requests) in {4, 8}


@pytest.mark.parametrize("error", [httpx.RemoteProtocolError("x"), httpx.ReadError("x")])
async def test_a_request_is_repeated_once_after_a_broken_connection(error: Exception) -> None:
    """The server may have closed a pooled connection at the moment of its use."""
    network, broken = Network(), [error]

    async def break_once() -> Any:
        if broken:
            raise broken.pop()
        return {"active": False}

    network.responses[URL] = break_once

    response = await network.fetcher.post_form(URL, {"token": "a"})

    assert response.json() == {"active": False}
    assert [request.content for request in network.requests] == [b"token=a"] * 2
    assert outcomes(network) == {"answered": 1}


@pytest.mark.parametrize(
    ("response", "failing"), [(503, True), (500, False), (404, False), (b"<h1>", False)]
)
async def test_an_error_shows_whether_every_credential_is_affected(
    response: Any, *, failing: bool
) -> None:
    """A response can affect a single credential; a failing endpoint affects all of them."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await Network({URL: response}).fetcher.get_json(URL)

    assert error.value.endpoint_failing is failing


async def test_a_few_failures_do_not_open_the_breaker() -> None:
    """By default, the breaker needs twenty requests to judge an endpoint."""
    network = Network({URL: 503})
    for _ in range(5):
        await failure(network.fetcher)

    assert len(network.requests) == 5


def test_the_repr_of_a_response_does_not_contain_its_body() -> None:
    """A body contains claims about users."""
    assert "ada" not in repr(Response(URL, 200, b"ada"))


async def test_running_out_of_descriptors_is_not_a_failure_of_the_endpoint() -> None:
    """No request was sent, so the breaker stays closed, and the error has the reason."""
    network = Network({URL: NoDescriptorError("too many open files")})
    fetcher = network.fetcher_with(5, thresholds=Thresholds(min_calls=2))
    reasons = [(await failure(fetcher))[0] for _ in range(5)]
    network.responses[URL] = {"a": [1]}
    document = await fetcher.get_json(URL)

    assert set(reasons) == {
        f"{URL}: no file descriptor left for a connection: raise the limit on open files"
    }
    assert document == {"a": [1]}
    assert network.metrics.registry.get_sample_value(
        "vault_bff_out_of_file_descriptors_total", {"connection": "identity"}
    ) == len(reasons)
