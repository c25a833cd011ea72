from typing import Any

import pytest
from structlog.testing import capture_logs

from app.identity.discovery import Discovery
from app.identity.userinfo import UserInfo
from app.settings import IssuerSettings
from tests.support.in_process import Clock, Network

ISSUER = "https://id.example"
URL = f"{ISSUER}/userinfo"
ADA = {"sub": "ada", "name": "Ada"}


def userinfo(network: Network, clock: Clock, endpoint: str | None = URL) -> UserInfo:
    """Return an issuer on this network to ask about people."""
    settings = IssuerSettings(issuer=ISSUER, audience="vault-bff", userinfo_endpoint=endpoint)
    discovery = Discovery(settings, network.fetcher)
    return UserInfo("main", settings, discovery, network.fetcher, clock=clock)


@pytest.mark.parametrize("endpoint", [URL, None])
async def test_the_issuer_is_asked_with_the_persons_own_token(endpoint: str | None) -> None:
    """At the configured endpoint, or where the issuer says that it is."""
    document = {"issuer": ISSUER, "userinfo_endpoint": URL}
    network = Network({URL: ADA, f"{ISSUER}/.well-known/openid-configuration": document})

    about = await userinfo(network, Clock(0.0), endpoint).about("t0ken", {"sub": "ada", "exp": 60})

    assert about == ADA
    assert network.asked[-1].headers["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("answer", [{"sub": "eve", "name": "Eve"}, {"name": "Eve"}, ["ada"]])
async def test_an_answer_about_somebody_else_is_not_used(answer: Any) -> None:
    """Nothing is known of the person then; the issuer is not asked the same again at once."""
    network = Network({URL: answer})
    asked = userinfo(network, Clock())
    with capture_logs() as logs:
        for _ in range(2):
            assert await asked.about("t0ken", {"sub": "ada", "exp": 1060}) == {}

    assert logs == [
        {"event": "userinfo_of_another_subject", "log_level": "warning", "issuer": "main"}
    ]
    assert network.urls() == [URL]


@pytest.mark.parametrize(
    ("expires", "counts"), [(1000 + 900, [1, 1, 1, 1, 2]), (1000 + 120, [1, 1, 2, 3, 4])]
)
async def test_an_answer_is_believed_for_five_minutes_or_until_the_token_expires(
    expires: int, counts: list[int]
) -> None:
    """Whichever comes first; an answer that is over at once is not remembered."""
    network, clock = Network({URL: ADA}), Clock()
    source = userinfo(network, clock)
    seen = []
    for later in (0, 119.9, 0.1, 179.9, 0.1):
        clock.now += later
        assert await source.about("t0ken", {"sub": "ada", "exp": expires}) == ADA
        seen.append(len(network.asked))

    assert seen == counts


async def test_an_endpoint_that_is_down_slows_nobody() -> None:
    """People are served without a name; it is asked again after a rest of half a minute."""
    network, clock = Network({URL: 503}), Clock()
    source = userinfo(network, clock)
    counts = []
    with capture_logs() as logs:
        for token, later in (("a", 0), ("b", 0), ("a", 29.9), ("b", 0.1)):
            clock.now += later
            assert await source.about(token, {"sub": "ada", "exp": 9000}) == {}
            counts.append(len(network.asked))
    network.answers[URL] = ADA
    clock.now += 30

    assert counts == [1, 1, 1, 2]
    assert await source.about("a", {"sub": "ada", "exp": 9000}) == ADA
    assert (
        logs
        == [
            {
                "event": "userinfo_unavailable",
                "log_level": "warning",
                "issuer": "main",
                "reason": f"{URL}: answered 503",
            }
        ]
        * 2
    )
