"""Cookie sessions of several cookies, and with unusual values (RFC 6265).

The application must receive exactly the cookies of its session, and Apideck only requests for the
person that the application names.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.cookie_session_app import ADA, CookieSessionApp
from tests.support.http import bearer, problem
from tests.support.service import merged_settings, running, settings_with_application

PAGE = {
    "origin": "https://app.example.com",
    "sec-fetch-site": "same-site",
    "content-type": "application/json",
    "x-vault-session": "1",
}
GRACE = {**ADA, "sub": 8, "org_id": 43}
TORNADO = '"2|1:0|10:1700000000|4:user|12:Z29vZA==|good"'


@pytest.fixture
def application() -> CookieSessionApp:
    """Return an application with cookie sessions."""
    return CookieSessionApp()


@pytest.fixture
async def service(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
) -> AsyncIterator[httpx.AsyncClient]:
    """Run a service that accepts the sessions of the application, which may be split."""
    assert apideck.requests == []
    with application.serve() as url:
        settings = settings_with_application(issuer.issuer, apideck_url, url, PAGE["origin"])
        split = {"identity": {"cookie_sessions": {"rails": {"cookie": "app_session*"}}}}
        values = merged_settings(settings.model_dump(exclude_unset=True), split)
        async with running(Settings.model_validate(values)) as client:
            yield client


async def request_session(service: httpx.AsyncClient, *cookies: str) -> httpx.Response:
    """Send a request with these Cookie headers."""
    headers: Any = [*PAGE.items(), *(("cookie", cookie) for cookie in cookies)]
    return await service.post("/vault-session", headers=headers)


@pytest.mark.parametrize(
    "cookies",
    [
        f"app_session={TORNADO}",
        "app_session=chunks-2; app_sessionC1=adas; app_sessionC2=session==",
        "app_session.0=adas; app_session.1=",
        'app_session={"id": "adas, session"}',
    ],
)
async def test_the_application_receives_its_cookies_byte_for_byte(
    service: httpx.AsyncClient,
    application: CookieSessionApp,
    apideck: ApideckEmulator,
    cookies: str,
) -> None:
    """The application receives no other cookie of the request."""
    application.sessions = {cookies: ADA}

    response = await request_session(
        service, f"theme=dark; {cookies}; app_sessions=1; app_session.x=2"
    )

    assert response.status_code == 201
    assert [seen["cookie"] for seen in application.received] == [cookies]
    assert [minted.consumer_id for minted in apideck.minted] == ["r-42"]


async def test_two_sessions_with_the_same_first_cookie_are_two_people(
    service: httpx.AsyncClient, application: CookieSessionApp, apideck: ApideckEmulator
) -> None:
    """The attack: Grace sends a session that begins like Ada's while Ada's is cached."""
    adas, graces = "app_session.0=eyJ; app_session.1=ada", "app_session.0=eyJ; app_session.1=grace"
    application.sessions = {adas: ADA, graces: GRACE}

    for cookies in (adas, graces, "app_session.0=eyJ", adas):
        await request_session(service, cookies)

    assert [minted.consumer_id for minted in apideck.minted] == ["r-42", "r-43", "r-42"]


async def test_the_name_of_a_cookie_cannot_be_moved_into_a_value(
    service: httpx.AsyncClient, application: CookieSessionApp, apideck: ApideckEmulator
) -> None:
    """The attack: a made-up session whose text is the same as that of a cached one."""
    application.sessions = {"app_session.0=a; app_session.1=b": ADA}
    await request_session(service, "app_session.0=a; app_session.1=b")

    for cookies in (
        "app_session.0=a",
        "app_session.0=a=app_session.1=b",
        "app_session.0=a%3B app_session.1=b",
    ):
        assert problem(await request_session(service, cookies))[0] == 401
    assert len(apideck.minted) == 1


@pytest.mark.parametrize(
    "cookies",
    [
        ["app_session=a; app_session=a"],
        ["app_session.0=a; app_session.1=b; app_session.0=c"],
        ["app_session.0=a", "app_session.0=a"],
    ],
)
async def test_a_session_with_the_same_cookie_twice_is_rejected(
    service: httpx.AsyncClient,
    application: CookieSessionApp,
    apideck: ApideckEmulator,
    cookies: list[str],
) -> None:
    """Applications disagree about which one counts."""
    response = await request_session(service, *cookies)

    assert problem(response) == (400, "ambiguous-credentials")
    assert application.received == []
    assert apideck.requests == []


async def test_one_cookie_of_a_session_beside_a_token_is_rejected(
    service: httpx.AsyncClient,
    issuer: DevelopmentIssuer,
    application: CookieSessionApp,
    apideck: ApideckEmulator,
) -> None:
    """Any cookie of a session is a credential."""
    headers = {**PAGE, **bearer(issuer.token()), "cookie": "app_session.7=a"}

    response = await service.post("/vault-session", headers=headers)

    assert problem(response) == (400, "ambiguous-credentials")
    assert application.received == []
    assert apideck.requests == []


async def test_a_split_session_is_protected_against_forged_requests(
    service: httpx.AsyncClient, application: CookieSessionApp, apideck: ApideckEmulator
) -> None:
    """A browser adds these cookies automatically, too."""
    headers = {**PAGE, "origin": "https://evil.example", "cookie": "app_session.0=a"}

    response = await service.post("/vault-session", headers=headers)

    assert problem(response) == (403, "forbidden-origin")
    assert application.received == []
    assert apideck.requests == []


async def test_a_session_of_many_large_cookies_is_rejected(
    service: httpx.AsyncClient, application: CookieSessionApp, apideck: ApideckEmulator
) -> None:
    """The limit applies to the total size of the cookies."""
    cookies = [f"app_session.{number}={'a' * 4000}" for number in range(10)]

    response = await request_session(service, *cookies)

    assert problem(response) == (431, "headers-too-large")
    assert application.received == []
    assert apideck.requests == []
