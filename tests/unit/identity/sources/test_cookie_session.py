from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError, MissingClaimError, UnauthenticatedError
from app.identity.sources.cookie_session import CookieSessionSource, build
from app.settings import CookieSessionSettings, IdentitySettings
from app.settings.credentials import CredentialLocation
from tests.support.in_process import Clock, Network, configured_session, credential, messages

URL = "https://app.example/me"
COOKIE = CredentialLocation("session", cookies=("sid",))
UNUSABLE_SUBJECTS: list[Any] = ["", None, True, 1.5, []]
UNUSABLE_ACTORS: list[Any] = ["grace", {}, [], 1, {"sub": None}, {"sub": ["grace"]}]


def source(network: Network, clock: Clock | None = None, **more: Any) -> CookieSessionSource:
    """Return the source for an application's session on this network."""
    settings = CookieSessionSettings.model_validate({"cookie": "sid", "whoami_url": URL, **more})
    return CookieSessionSource(
        configured_session(settings), network.fetcher, clock=clock or Clock()
    )


@pytest.mark.parametrize(("subject", "returned"), [("ada", "ada"), (42, "42"), (0, "0")])
async def test_the_application_receives_the_cookie_and_no_other_credential(
    subject: Any, returned: str
) -> None:
    """The application responds with claims; an integer subject is converted to text."""
    network = Network({URL: {"sub": subject, "name": "Ada"}})

    assert await source(network).verify('sid=a=b; sid.0="c"') == {"sub": returned, "name": "Ada"}
    [request] = network.requests
    assert (request.method, str(request.url)) == ("GET", URL)
    assert request.headers["cookie"] == 'sid=a=b; sid.0="c"'
    assert "authorization" not in request.headers


async def test_a_cookie_identifies_the_user_that_the_application_returns() -> None:
    """The caller has the configured name of the application, and its mapping of claims."""
    network = Network({URL: {"sub": 7, "name": "Ada"}})

    caller = await source(network, consumer_prefix="app-").caller(credential("abc", COOKIE))

    assert (caller.kind, caller.issuer, caller.subject) == ("user", "app", "7")
    assert caller.consumer_id == "app-7"
    assert caller.consumer_metadata == {"user_name": "Ada"}


async def test_no_user_gets_the_consumer_of_another_source() -> None:
    """A consumer id that begins with the prefix of another source is rejected."""
    reserving = source(Network({URL: {"sub": "main:ada"}}))
    reserving.reserved_prefixes = ("main:",)

    with pytest.raises(MissingClaimError):
        await reserving.caller(credential("abc", COOKIE))


@pytest.mark.parametrize(
    ("claims", "actor"), [({}, None), ({"act": None}, None), ({"act": {"sub": "grace"}}, "grace")]
)
async def test_the_application_can_return_an_actor(
    claims: dict[str, Any], actor: str | None
) -> None:
    """An `act` that is null is treated like a missing one."""
    network = Network({URL: {"sub": "ada", **claims}})

    assert (await source(network).caller(credential("abc", COOKIE))).actor == actor


async def test_sessions_that_differ_in_one_cookie_are_cached_separately() -> None:
    """The first cookies of two sessions may be equal."""
    network = Network({URL: {"sub": "ada"}})
    session = source(network)
    await session.verify("sid.0=a; sid.1=b")
    network.responses[URL] = {"sub": "grace"}

    assert await session.verify("sid.0=a; sid.1=c") == {"sub": "grace"}
    assert await session.verify("sid.0=a; sid.1=b") == {"sub": "ada"}


@pytest.mark.parametrize("status", [401, 403])
async def test_a_rejected_cookie_is_not_cached(status: int) -> None:
    """The user may sign in a moment later."""
    network = Network({URL: status})
    session = source(network)
    with pytest.raises(UnauthenticatedError) as error:
        await session.verify("abc")
    network.responses[URL] = {"sub": "ada"}

    assert messages(error.value) == ("You are not signed in.", f"{URL}: responded with {status}")
    assert error.value.presented is True
    assert await session.verify("abc") == {"sub": "ada"}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (404, "responded with 404"),
        (302, "responded with 302"),
        (500, "responded with 500"),
        (
            b"<h1>",
            "responded with text that is not valid JSON: Expecting value at character 0",
        ),
        ([], "responded with JSON that is not an object"),
        (None, "responded with JSON that is not an object"),
        ({}, "responded without a usable sub"),
        *(({"sub": subject}, "responded without a usable sub") for subject in UNUSABLE_SUBJECTS),
        *(
            ({"sub": "ada", "act": actor}, "responded with an act that names no actor")
            for actor in UNUSABLE_ACTORS
        ),
    ],
)
async def test_an_application_with_an_unusable_response_is_unavailable(
    response: Any, reason: str
) -> None:
    """The user is not reported as signed out, and the reason describes the response."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await source(Network({URL: response})).verify("abc")

    assert messages(error.value) == (
        "Your sign-in cannot be checked right now. Try again shortly.",
        f"{URL}: {reason}",
    )
    assert error.value.retry_after == 5


async def test_a_response_is_cached_for_the_configured_time() -> None:
    """Each cookie has its own response."""
    network, clock = Network({URL: {"sub": "ada"}}), Clock()
    session = source(network, clock, cache_seconds=10)
    for cookie, later in (("sid=a", 0), ("sid=b", 0), ("sid=a", 9.9), ("sid=a", 0.1)):
        clock.now += later
        await session.verify(cookie)

    sent = [request.headers["cookie"] for request in network.requests]
    assert sent == ["sid=a", "sid=b", "sid=a"]


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        (401, None),
        ({"sub": "ada"}, "accepts a made-up credential"),
        (500, f"{URL}: responded with 500"),
    ],
)
async def test_the_probe_sends_a_made_up_cookie(response: Any, problem: str | None) -> None:
    """The application must respond that no user is signed in."""
    network = Network({URL: response})
    session = source(network, cookie=["sid*", "user"])
    if problem is None:
        assert await session.probe() == "responds"
        [request] = network.requests
        assert request.headers["cookie"] == "sid=vault-bff-check-made-up-credential"
        return
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await session.probe()
    assert error.value.reason == problem


def test_every_configured_application_is_a_source() -> None:
    """It needs no keys, and reads its own cookie."""
    sessions = {
        name: {"cookie": name, "whoami_url": URL, "consumer_prefix": f"{name}-"}
        for name in ("one", "two")
    }
    settings = IdentitySettings.model_validate({"cookie_sessions": sessions})

    built = list(build(settings, Network().fetcher))

    assert [(one.name, one.locations[0].cookies) for one in built] == [
        ("one", ("one",)),
        ("two", ("two",)),
    ]
    assert all(one.ready and one.key_state() is None for one in built)
    assert built[0].setting == "IDENTITY__COOKIE_SESSIONS__ONE"
