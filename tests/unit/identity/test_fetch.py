import asyncio
from typing import Any

import httpx
import pytest

from app.common.circuit_breaker import Thresholds
from app.errors import IdentityProviderUnavailableError
from app.identity.fetch import MAX_DOCUMENT_BYTES, Fetcher
from tests.support.in_process import Body, Network, told

URL = "https://id.example/document"
OTHER = "https://id.example/other"


def outcomes(network: Network) -> dict[str, float]:
    """Return how many requests to the issuer's host ended in which way."""
    samples = (
        (outcome, network.metrics.registry.get_sample_value(
            "vault_bff_identity_requests_total", {"host": "id.example", "outcome": outcome}
        ))
        for outcome in ("answered", "failed", "not-asked", "abandoned")
    )  # fmt: skip
    return {outcome: value for outcome, value in samples if value is not None}


async def failure(fetcher: Fetcher, url: str = URL) -> tuple[str | None, float | None]:
    """Return why a document cannot be had and when to come again, having checked the rest."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await fetcher.get_json(url)
    detail, reason = told(error.value)
    assert detail == "The identity provider cannot be reached just now; try again shortly."
    return reason, error.value.retry_after


async def test_a_document_is_fetched() -> None:
    """JSON is asked for, as it is: what is compressed could be a bomb."""
    network = Network({URL: {"a": [1]}})

    assert await network.fetcher.get_json(URL, {"cookie": "sid=abc"}) == {"a": [1]}
    [request] = network.asked
    assert (request.method, str(request.url)) == ("GET", URL)
    assert request.headers["accept"] == "application/json"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers["cookie"] == "sid=abc"
    assert outcomes(network) == {"answered": 1}


@pytest.mark.parametrize(
    ("auth", "header"), [(None, None), (httpx.BasicAuth("a", "b"), "Basic YTpi")]
)
async def test_a_form_is_posted(auth: httpx.BasicAuth | None, header: str | None) -> None:
    """With the proof of who asks, where there is one."""
    network = Network({URL: {"active": False}})

    answer = await network.fetcher.post_form(URL, {"token": "a b&c"}, auth)

    assert answer == (200, b'{"active": false}')
    [request] = network.asked
    assert (request.method, request.content) == ("POST", b"token=a+b%26c")
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert request.headers["accept-encoding"] == "identity"
    assert request.headers.get("authorization") == header


@pytest.mark.parametrize("status", [200, 201, 302, 401, 404, 499])
async def test_what_an_answer_means_is_for_who_asked(status: int) -> None:
    """Anything but the server's own failure is handed on, and no redirect is followed."""
    network = Network({URL: httpx.Response(status, headers={"location": OTHER}, stream=Body(b"x"))})

    assert await network.fetcher.get(URL, {"a": "b"}) == (status, b"x")
    assert network.asked[0].headers["a"] == "b"
    assert network.urls() == [URL]
    assert outcomes(network) == {"answered": 1}


@pytest.mark.parametrize(
    ("answer", "what", "outcome"),
    [
        (500, "answered 500", "failed"),
        (503, "answered 503", "failed"),
        (201, "answered 201", "answered"),
        (404, "answered 404", "answered"),
        (httpx.ConnectError("x"), "ConnectError", "failed"),
        (httpx.ReadTimeout("x"), "ReadTimeout", "failed"),
        (
            b"[1{",
            "answered with text that is not JSON: Expecting ',' delimiter at character 2",
            "answered",
        ),
    ],
)
async def test_anything_but_a_document_is_one_error(answer: Any, what: str, outcome: str) -> None:
    """The caller comes again in a moment; the operator reads who did what."""
    network = Network({URL: answer})

    assert await failure(network.fetcher) == (f"{URL}: {what}", 5)
    assert outcomes(network) == {outcome: 1}


@pytest.mark.parametrize("more", [0, 1])
async def test_an_answer_has_a_greatest_size(more: int) -> None:
    """It is let go of as soon as it has more, and when it has been read."""
    body = Body(b"[" + b" " * (MAX_DOCUMENT_BYTES - 3), b"1", b"]" + b" " * more)
    network = Network({URL: httpx.Response(200, stream=body)})

    if more:
        too_much = f"{URL}: answered with more than {MAX_DOCUMENT_BYTES} bytes"
        assert await failure(network.fetcher) == (too_much, 5)
    else:
        assert await network.fetcher.get_json(URL) == [1]
    assert body.closed


async def test_an_issuer_that_takes_too_long_is_not_waited_for() -> None:
    """The whole exchange has to be over in time."""
    network = Network()

    async def late() -> int:
        for _ in range(100):
            await asyncio.sleep(0)
        return 200

    network.answers[URL] = late

    assert await failure(network.fetcher_with(0)) == (f"{URL}: no answer within 0 s", 5)
    assert outcomes(network) == {"failed": 1}
    assert await network.fetcher_with(2.5).get_json(URL) == {}


async def test_an_endpoint_that_mostly_fails_is_not_asked() -> None:
    """Others of the same host are; who is not asked about comes again when it is."""
    network = Network({URL: 500, OTHER: []})
    fetcher = network.fetcher_with(5, thresholds=Thresholds(min_calls=2, open_seconds=40))
    for _ in range(2):
        await failure(fetcher)

    reason, retry_after = await failure(fetcher)

    assert reason == f"{URL}: not asked, it failed too often just before"
    assert 30 < (retry_after or 0) <= 40
    assert network.urls() == [URL, URL]
    assert await fetcher.get_json(OTHER) == []
    assert outcomes(network) == {"failed": 2, "not-asked": 1, "answered": 1}


@pytest.mark.parametrize("answer", [404, ValueError("ours")])
async def test_what_is_not_the_endpoints_failure_does_not_count_against_it(answer: Any) -> None:
    """A no is an answer, and a mistake of ours is ours."""
    network = Network({URL: answer})
    fetcher = network.fetcher_with(5, thresholds=Thresholds(min_calls=2))
    for _ in range(4):
        with pytest.raises((IdentityProviderUnavailableError, ValueError), match=r"ours|try again"):
            await fetcher.get_json(URL)

    assert len(network.asked) == 4
    assert outcomes(network) == {"answered" if answer == 404 else "abandoned": 4}


async def test_a_fetcher_gives_every_endpoint_a_chance_by_default() -> None:
    """A few failures stop nothing."""
    network = Network({URL: 500})
    for _ in range(5):
        await failure(network.fetcher)

    assert len(network.asked) == 5
