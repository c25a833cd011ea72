from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.errors import UnauthenticatedError
from app.identity.discovery import Discovery
from app.identity.userinfo import CACHE_SECONDS, UserInfo
from app.settings import IssuerSettings
from tests.support.in_process import Clock, Network, messages

ISSUER = "https://id.example"
URL = f"{ISSUER}/userinfo"
ADA = {"sub": "ada", "name": "Ada"}


def userinfo(
    network: Network, clock: Clock, endpoint: str | None = URL, wall_clock: Clock | None = None
) -> UserInfo:
    """Return the UserInfo endpoint of an issuer on this network, by default with one clock."""
    settings = IssuerSettings(issuer=ISSUER, audience="vault-bff", userinfo_endpoint=endpoint)
    discovery = Discovery(settings, network.fetcher, clock)
    return UserInfo(
        "main",
        settings,
        discovery,
        network.fetcher,
        clock=wall_clock or clock,
        monotonic=clock,
    )


@pytest.mark.parametrize("endpoint", [URL, None])
async def test_a_userinfo_request_has_the_token_of_the_user(endpoint: str | None) -> None:
    """The endpoint is the configured one, or the one in the issuer's metadata."""
    document = {"issuer": ISSUER, "userinfo_endpoint": URL}
    network = Network({URL: ADA, f"{ISSUER}/.well-known/openid-configuration": document})

    about = await userinfo(network, Clock(0.0), endpoint).about("t0ken", {"sub": "ada", "exp": 60})

    assert about == ADA
    assert network.requests[-1].headers["authorization"] == "Bearer t0ken"


async def test_a_check_sends_a_request_each_time() -> None:
    """`check --token` reports the current response, and why a response is not used."""
    network = Network({URL: ADA})
    source = userinfo(network, Clock())

    assert await source.request("t0ken", "ada") == ADA
    with pytest.raises(UnauthenticatedError) as error:
        await source.request("t0ken", "eve")

    assert messages(error.value) == (
        "Your sign-in is not valid. Please sign in again.",
        f"{URL}: responded about another subject",
    )
    assert network.urls() == [URL, URL]
    assert network.requests[-1].headers["authorization"] == "Bearer t0ken"


async def test_an_introspected_token_without_exp_has_userinfo() -> None:
    """The response is cached for the same time as for other tokens."""
    network, clock = Network({URL: ADA}), Clock()
    source = userinfo(network, clock)
    for later in (0, CACHE_SECONDS - 1, 1):
        clock.now += later
        assert await source.about("t0ken", {"sub": "ada"}) == ADA

    assert len(network.requests) == 2


@pytest.mark.parametrize("response", [{"sub": "eve", "name": "Eve"}, {"name": "Eve"}, ["ada"]])
async def test_a_response_about_another_subject_is_not_used(response: Any) -> None:
    """There is then no display data, and no second request for the same token."""
    network = Network({URL: response})
    source = userinfo(network, Clock())
    with capture_logs() as logs:
        for _ in range(2):
            assert await source.about("t0ken", {"sub": "ada", "exp": 1060}) == {}

    assert logs == [
        {"event": "userinfo_of_another_subject", "log_level": "warning", "issuer": "main"}
    ]
    assert network.urls() == [URL]


@pytest.mark.parametrize(
    ("expires", "counts"), [(1000 + 900, [1, 1, 1, 1, 2]), (1000 + 120, [1, 1, 2, 3, 4])]
)
async def test_a_response_is_cached_for_five_minutes_or_until_the_token_expires(
    expires: int, counts: list[int]
) -> None:
    """The earlier of the two applies; after the token has expired, nothing is cached."""
    network, clock = Network({URL: ADA}), Clock()
    source = userinfo(network, clock)
    fetches = []
    for later in (0, 119.9, 0.1, 179.9, 0.1):
        clock.now += later
        assert await source.about("t0ken", {"sub": "ada", "exp": expires}) == ADA
        fetches.append(len(network.requests))

    assert fetches == counts


@pytest.mark.parametrize(("response", "seconds"), [(ADA, CACHE_SECONDS), (503, 30)])
async def test_a_wall_clock_that_is_set_back_does_not_delay_requests(
    response: Any, seconds: int
) -> None:
    """It extends neither the time in the cache nor the pause after a failure."""
    network, clock, wall_clock = Network({URL: response}), Clock(), Clock()
    source = userinfo(network, clock, wall_clock=wall_clock)
    counts = []
    for later in (0, seconds - 0.1, 0.1):
        clock.now += later
        wall_clock.now -= 500
        await source.about("t0ken", {"sub": "ada", "exp": 9000})
        counts.append(len(network.requests))

    assert counts == [1, 1, 2]


@pytest.mark.parametrize("response", [503, httpx.ConnectError("x"), httpx.ReadTimeout("x")])
async def test_an_endpoint_that_fails_gets_no_requests_for_half_a_minute(response: Any) -> None:
    """Sessions are created without display data, and without waiting for it."""
    network, clock = Network({URL: response}), Clock()
    source = userinfo(network, clock)
    counts = []
    with capture_logs() as logs:
        for token, later in (("a", 0), ("b", 0), ("a", 29.9), ("b", 0.1)):
            clock.now += later
            assert await source.about(token, {"sub": "ada", "exp": 9000}) == {}
            counts.append(len(network.requests))
    network.responses[URL] = ADA
    clock.now += 30

    assert counts == [1, 1, 1, 2]
    assert await source.about("a", {"sub": "ada", "exp": 9000}) == ADA
    assert [(line["event"], line["log_level"], line["issuer"]) for line in logs] == [
        ("userinfo_unavailable", "warning", "main")
    ] * 2
    assert str(logs[0]["reason"]).startswith(f"{URL}: ")


@pytest.mark.parametrize("response", [400, 401, 403, 404, 500, b"<h1>", httpx.ReadError("x")])
async def test_a_response_about_one_token_affects_no_other_token(response: Any) -> None:
    """A token without the scope `openid` gets a 403; data of other users is still requested."""
    network, clock = Network({URL: response}), Clock()
    source = userinfo(network, clock)
    with capture_logs() as logs:
        assert await source.about("a", {"sub": "ada", "exp": 9000}) == {}
    network.responses[URL] = {"sub": "bob", "name": "Bob"}

    assert await source.about("b", {"sub": "bob", "exp": 9000}) == {"sub": "bob", "name": "Bob"}
    assert [line["event"] for line in logs] == ["userinfo_unavailable"]


@pytest.mark.parametrize(("expires", "seconds"), [(9000, 30), (1010, 10)])
async def test_a_rejected_token_is_sent_again_after_half_a_minute(
    expires: int, seconds: int
) -> None:
    """The endpoint may have failed by chance; the token is also sent again after its expiry."""
    network, clock = Network({URL: 403}), Clock()
    source = userinfo(network, clock)
    counts = []
    for later in (0, seconds - 0.1, 0.1):
        clock.now += later
        await source.about("a", {"sub": "ada", "exp": expires})
        counts.append(len(network.requests))

    assert counts == [1, 1, 2]


async def test_an_issuer_without_usable_metadata_counts_as_failing() -> None:
    """Without an endpoint, no token has display data, so the next one causes no request."""
    network, clock = Network(), Clock()
    source = userinfo(network, clock, endpoint=None)
    for token in ("a", "b"):
        assert await source.about(token, {"sub": "ada", "exp": 9000}) == {}

    assert len(network.requests) == 1
