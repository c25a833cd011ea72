from typing import Any

import pytest

from app.errors import IdentityProviderUnavailableError, UnauthenticatedError
from app.identity.whoami import WhoAmI
from app.settings import CookieSessionSettings
from tests.support.in_process import Clock, Network, told

URL = "https://app.example/me"
NO_SUBJECTS: list[Any] = ["", None, True, 1.5, []]


def whoami(network: Network, clock: Clock | None = None, **more: Any) -> WhoAmI:
    """Return an application on this network to ask."""
    settings = {"cookie": "sid", "whoami_url": URL, **more}
    application = CookieSessionSettings.model_validate(settings)
    return WhoAmI(application, network.fetcher, clock=clock or Clock())


@pytest.mark.parametrize(("subject", "said"), [("ada", "ada"), (42, "42"), (0, "0")])
async def test_an_application_says_whose_cookie_it_is(subject: Any, said: str) -> None:
    """It is asked with that cookie and no other credential; a number stands for its digits."""
    network = Network({URL: {"sub": subject, "name": "Ada"}})

    assert await whoami(network).verify("a=b") == {"sub": said, "name": "Ada"}
    [request] = network.asked
    assert (request.method, str(request.url)) == ("GET", URL)
    assert request.headers["cookie"] == "sid=a=b"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("status", [401, 403])
async def test_an_applications_no_is_a_no_each_time(status: int) -> None:
    """It is not remembered: the person may sign in the next moment."""
    network = Network({URL: status})
    asked = whoami(network)
    with pytest.raises(UnauthenticatedError) as error:
        await asked.verify("abc")
    network.answers[URL] = {"sub": "ada"}

    assert told(error.value) == ("You are not signed in.", f"{URL}: responded with {status}")
    assert error.value.presented is True
    assert await asked.verify("abc") == {"sub": "ada"}


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (404, "responded with 404"),
        (302, "responded with 302"),
        (500, "responded with 500"),
        (
            b"<h1>",
            "responded with text that is not JSON: Expecting value at character 0",
        ),
        ([], "responded with JSON that is not an object"),
        (None, "responded with JSON that is not an object"),
        ({}, "responded without a usable sub"),
        *(({"sub": subject}, "responded without a usable sub") for subject in NO_SUBJECTS),
    ],
)
async def test_anything_else_says_nothing(answer: Any, what: str) -> None:
    """Nobody is called unknown for it; the caller comes again, the operator reads why."""
    with pytest.raises(IdentityProviderUnavailableError) as error:
        await whoami(Network({URL: answer})).verify("abc")

    assert told(error.value) == (
        "The identity provider cannot be reached right now. Try again shortly.",
        f"{URL}: {what}",
    )
    assert error.value.retry_after == 5


async def test_an_answer_is_believed_for_the_configured_time() -> None:
    """Per cookie, and not a moment longer."""
    network, clock = Network({URL: {"sub": "ada"}}), Clock()
    asked = whoami(network, clock, cache_seconds=10)
    for cookie, later in (("a", 0), ("b", 0), ("a", 9.9), ("a", 0.1)):
        clock.now += later
        await asked.verify(cookie)

    assert [request.headers["cookie"] for request in network.asked] == ["sid=a", "sid=b", "sid=a"]
