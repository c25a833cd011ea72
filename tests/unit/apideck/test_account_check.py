from collections.abc import Callable
from http import HTTPStatus

import httpx
import pytest

from app.apideck.account_check import AccountCheck
from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.observability.telemetry import Telemetry
from app.settings import ApideckSettings
from tests.support.in_process import Clock

MINUTE = 60.0
Respond = Callable[[], httpx.Response]


class Account:
    """A Unify app whose account is checked.

    Attributes:
        requests: the requests that Apideck received, with the time of each in minutes.
        respond: makes Apideck's response to each.
    """

    def __init__(self) -> None:
        settings = ApideckSettings.model_validate({"api_key": "sk_0123456789", "app_id": "app"})
        self.clock = Clock()
        self.started = self.clock()
        self.requests: list[tuple[float, str]] = []
        self.respond: Respond = refused
        self.key = ApiKey("default", settings, lambda _: None, self.clock)
        transport = httpx.MockTransport(self._receive)
        self.client = ApideckClient("default", settings, self.key, transport, Telemetry())
        self.check = AccountCheck(self.client, self.clock)

    def set_misconfigured(self) -> None:
        """Set the state that a session with a rejected key causes."""
        self.client.account = "misconfigured"

    def _receive(self, request: httpx.Request) -> httpx.Response:
        minutes = (self.clock() - self.started) / MINUTE
        self.requests.append((minutes, f"{request.method} {request.url.raw_path.decode()}"))
        return self.respond()

    async def run_for(self, minutes: float) -> None:
        """Let time pass, and run the check every second as the service does."""
        for _ in range(round(minutes * MINUTE)):
            self.clock.now += 1
            await self.check.run_if_due()


def refused() -> httpx.Response:
    """Return Apideck's response to an invalid key."""
    return httpx.Response(HTTPStatus.UNAUTHORIZED)


def unavailable() -> httpx.Response:
    """Return a response after which a session would be retried."""
    return httpx.Response(HTTPStatus.SERVICE_UNAVAILABLE)


def accepted() -> httpx.Response:
    """Return a response to a valid key: the consumer has no connections."""
    body = {"status_code": 200, "status": "OK", "data": []}
    return httpx.Response(HTTPStatus.OK, json=body)


def unknown_consumer() -> httpx.Response:
    """Return another response to a valid key: the consumer does not exist."""
    return httpx.Response(HTTPStatus.NOT_FOUND, json={"type_name": "EntityNotFoundError"})


async def test_a_working_account_is_not_checked() -> None:
    """Each check would count against the quota of the plan."""
    account = Account()
    await account.run_for(5)

    assert account.requests == []


@pytest.mark.parametrize("respond", [refused, unavailable])
async def test_checks_of_a_misconfigured_account_become_less_frequent(respond: Respond) -> None:
    """The waits are 1, 2, 4, 8 and then 16 minutes; each check is one GET request."""
    account = Account()
    account.respond = respond
    account.set_misconfigured()
    await account.run_for(64)

    assert {request for _, request in account.requests} == {
        "GET /vault/connections?configured=true"
    }
    times = [round(minutes) for minutes, _ in account.requests]
    assert times == [1, 3, 7, 15, 31, 47, 63]
    assert account.client.account == "misconfigured"


@pytest.mark.parametrize("respond", [accepted, unknown_consumer])
async def test_a_successful_check_marks_the_account_as_working(respond: Respond) -> None:
    """The checks create no session, and they end after the first success."""
    account = Account()
    account.set_misconfigured()
    await account.run_for(4)
    account.respond = respond
    await account.run_for(10)

    assert account.client.account == "ok"
    assert len(account.requests) == 3
    assert {request.split()[0] for _, request in account.requests} == {"GET"}


async def test_a_new_key_is_tried_within_a_minute() -> None:
    """A new key is probably the fix, but there is still at most one request a minute."""
    account = Account()
    account.set_misconfigured()
    await account.run_for(20)
    account.key._set(account.key.current)
    await account.run_for(2.5)

    times = [round(minutes) for minutes, _ in account.requests]
    assert times == [1, 3, 7, 15, 20, 22]
