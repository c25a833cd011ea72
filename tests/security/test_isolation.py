"""Many concurrent callers of many tenants: with all caches, each gets their own session.

Every response shows its owner, because the emulator's session token contains the request.
"""

import asyncio
import json
import random
import time
from base64 import urlsafe_b64decode
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import structlog
from structlog.testing import capture_logs

from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from emulators.issuer.http import CLIENT_ID, CLIENT_SECRET
from emulators.issuer.people import PEOPLE, Person
from tests.support.cookie_session_app import CookieSessionApp
from tests.support.http import bearer
from tests.support.service import APP_ID, running, settings_for

CONCURRENT = 120
TENANTS = 12
QUOTA = 1000
ORIGIN = "https://app.example.com"
PAGE = {"origin": ORIGIN, "x-vault-session": "1", "content-type": "application/json"}


@dataclass(frozen=True)
class Expectation:
    """A caller, the request, and the expected response; without a consumer it is a rejection."""

    label: str
    headers: dict[str, str]
    subject: str = ""
    consumer: str = ""
    application: str = APP_ID
    metadata: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def person(number: int) -> Person:
    """Return a person; several people share each tenant."""
    tenant = f"tenant{number % TENANTS}"
    name = f"person{number}"
    return Person(name, f"Name of {name}", f"{name}@{tenant}.example", tenant, f"{tenant} Inc.", "")


def metadata(of: Person) -> dict[str, str]:
    """Return the metadata of a person that Apideck must receive."""
    return {"account_name": of.org_name, "user_name": of.name, "email": of.email}


def callers_and_attackers(
    issuer: DevelopmentIssuer, application: CookieSessionApp
) -> list[Expectation]:
    """Return callers of every kind, and attackers who imitate them."""
    callers: list[Expectation] = []
    for number in range(24):
        owner = person(number)
        region = "us" if number % 2 else "default"
        claims: dict[str, Any] = {"region": region}
        shared: dict[str, Any] = {
            "subject": owner.id,
            "application": "app-us" if number % 2 else APP_ID,
            "metadata": metadata(owner),
        }
        org = owner.org_id
        signed = issuer.token(owner.id, algorithm="ES256", **claims)
        for_userinfo = issuer.token(
            owner.id, algorithm="ES256", aud="userinfo", omit=["email", "name"], **claims
        )
        opaque = issuer.opaque_token(owner.id, aud="opaque", **claims)
        cookie = f"session-of-{owner.id}"
        application.sessions[cookie] = {**owner.claims(""), **claims}
        from_page = {**PAGE, "cookie": f"app_session={cookie}"}
        callers += [
            Expectation("signed", bearer(signed), consumer=f"main-{org}", **shared),
            Expectation("userinfo", bearer(for_userinfo), consumer=f"userinfo-{org}", **shared),
            Expectation("opaque", bearer(opaque), consumer=f"opaque-{org}", **shared),
            Expectation("cookie", from_page, consumer=f"rails-{org}", **shared),
            Expectation("forged", bearer(f"{signed[:-8]}AAAAAAAA")),
            Expectation("made up", bearer(f"{opaque[:-1]}x")),
            Expectation("guessed", {**PAGE, "cookie": f"app_session={cookie}x"}),
        ]
    for number in range(6):
        client = f"robot{number}"
        token = issuer.service_token(client, aud="services")
        body = {"consumer_id": "tenant0"}
        callers.append(Expectation("service", bearer(token), client, "tenant0", body=body))
    return callers


@pytest.fixture
def application() -> CookieSessionApp:
    """Return an application with its own cookie sessions."""
    return CookieSessionApp()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the settings of each kind of rate limit store."""
    if request.param == "memory":
        return {"store": "memory"}
    prefix = f"isolation-{time.monotonic_ns()}"
    url = request.getfixturevalue("redis_url")
    return {"store": url, "store_prefix": prefix, "store_timeout_seconds": 5}


def settings_of(
    issuer: DevelopmentIssuer, apideck_url: str, whoami_url: str, store: dict[str, Any]
) -> Settings:
    """Return settings with every cache, and with rate limits that show each caller a count."""
    claims = {"consumer_id": "org_id", "account_name": "org_name", "image": None}
    own = {
        "claims": claims,
        "apideck": {"claim": "region", "allowed": ["default", "us"]},
    }
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    robots = [f"robot{number}" for number in range(6)]
    groups: dict[str, dict[str, Any]] = {
        "main": own,
        "userinfo": {**own, "audience": "userinfo", "userinfo": True},
        "opaque": {**own, "audience": "opaque", "introspection": client},
        "robots": {
            "audience": "services",
            "kind": "services",
            "grants": {robot: ["tenant0"] for robot in robots},
            "claims": {},
        },
    }
    issuers = {
        name: {
            "issuer": issuer.issuer,
            "audience": "vault-bff",
            "consumer_prefix": "" if name == "robots" else f"{name}-",
            **more,
        }
        for name, more in groups.items()
    }
    rails = {"cookie": "app_session", "whoami_url": whoami_url, "consumer_prefix": "rails-", **own}
    # Long timeouts, because the test is not about delays.
    long_timeouts = {"deadline_seconds": 60, "attempt_timeout_seconds": 60}
    return settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"unify_apps": {"us": {"api_key": API_KEY, "app_id": "app-us"}}, **long_timeouts},
        identity={
            "issuers": issuers,
            "cookie_sessions": {"rails": rails},
            "fetch_timeout_seconds": 30,
        },
        cors={"allow_origins": [ORIGIN]},
        limits={"per_user": f"{QUOTA}/day", "per_service": f"{QUOTA}/day", **store},
    )


def session_claims(response: httpx.Response) -> dict[str, Any]:
    """Return the claims of the session token in a response."""
    payload = response.json()["session_token"].split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def remaining_quota(response: httpx.Response) -> int:
    """Return how many sessions the caller may still request, according to a response."""
    return int(response.headers["ratelimit"].partition(";r=")[2].partition(";")[0])


def check(caller: Expectation, response: httpx.Response) -> None:
    """Assert that a response belongs to this caller."""
    if not caller.consumer:
        assert response.status_code == 401, caller
        return
    assert response.status_code == 201, response.text
    claims = session_claims(response)
    assert (claims["consumer_id"], claims["application_id"]) == (
        caller.consumer,
        caller.application,
    )
    assert claims.get("consumer_metadata", {}) == caller.metadata


async def interleaved(
    order: list[Expectation], request: Callable[[Expectation], Awaitable[httpx.Response]]
) -> list[tuple[Expectation, httpx.Response]]:
    """Send many requests concurrently, in this order; returns each caller with the response."""
    slots = asyncio.Semaphore(CONCURRENT)

    async def send(caller: Expectation) -> tuple[Expectation, httpx.Response]:
        async with slots:
            return caller, await request(caller)

    return await asyncio.gather(*map(send, order))


@pytest.mark.parametrize(
    # Fewer with Redis, where each takes longer.
    ("store", "requests"),
    [("memory", 3000), ("redis", 600)],
    indirect=["store"],
)
async def test_no_response_reaches_another_caller(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
    store: dict[str, Any],
    requests: int,
    verified: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each of many interleaved requests is answered, counted and logged for its own caller."""
    assert apideck.requests == []
    for number in range(24):
        monkeypatch.setitem(PEOPLE, f"person{number}", person(number))
    rng = random.Random(20260131)  # noqa: S311 - an order that can be repeated
    callers = callers_and_attackers(issuer, application)
    # In pairs, like double clicks, and repeatedly, so that the caches are cold and then warm.
    order = [caller for caller in rng.choices(callers, k=requests // 2) for _ in range(2)]
    with application.serve() as whoami_url:
        settings = settings_of(issuer, apideck_url, whoami_url, store)
        merge = structlog.contextvars.merge_contextvars
        with capture_logs(processors=[merge]) as logs:
            async with running(settings) as service:
                responses = await interleaved(
                    order,
                    lambda caller: service.post(
                        "/vault-session", headers=caller.headers, json=caller.body
                    ),
                )

    owners: dict[str, Expectation] = {}
    remaining = defaultdict[str, list[int]](list)
    subjects = {
        line["request_id"]: line["subject"]
        for line in logs
        if line["event"].startswith("vault_session_")
    }
    for caller, response in responses:
        check(caller, response)
        assert subjects[response.headers["x-request-id"]] == (caller.subject or None)
        if caller.consumer:
            assert owners.setdefault(response.json()["session_token"], caller) is caller
            remaining[f"{caller.label} {caller.subject}"].append(remaining_quota(response))
    # Each caller was counted separately, and every request was counted.
    for counts in remaining.values():
        assert sorted(counts, reverse=True) == list(range(QUOTA - 1, QUOTA - 1 - len(counts), -1))
    # The test proves nothing unless the caches and the merging of requests were in use.
    minted = sum(1 for caller, _ in responses if caller.consumer)
    assert len(owners) < minted
    sent = Counter(caller.label for caller, _ in responses)
    assert len(application.received) < sent["cookie"]
    assert issuer.counts["introspection"] < sent["opaque"]
    assert issuer.counts["userinfo"] < sent["userinfo"]
    verifications = Counter(bearer(token)["authorization"] for token in verified)
    for label in ("signed", "service"):
        credentials = {
            caller.headers["authorization"] for caller, _ in responses if caller.label == label
        }
        assert sum(verifications[token] for token in credentials) < sent[label]


async def test_a_disconnected_client_does_not_affect_other_callers(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
    store: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A request that ends early neither ends nor completes another request."""
    assert apideck.requests == []
    for number in range(24):
        monkeypatch.setitem(PEOPLE, f"person{number}", person(number))
    rng = random.Random(4)  # noqa: S311 - as above
    callers = [caller for caller in callers_and_attackers(issuer, application) if caller.consumer]
    order = [caller for caller in rng.choices(callers, k=300) for _ in range(2)]

    with application.serve() as whoami_url:
        async with running(settings_of(issuer, apideck_url, whoami_url, store)) as service:

            async def send(caller: Expectation) -> httpx.Response | None:
                pending = service.post("/vault-session", headers=caller.headers, json=caller.body)
                try:
                    async with asyncio.timeout(rng.choice([None, None, 0.005, 0.02, 0.05])):
                        return await pending
                except TimeoutError:
                    return None

            responses = await asyncio.gather(*(send(caller) for caller in order))

    disconnected = [response for response in responses if response is None]
    assert 0 < len(disconnected) < len(order)
    counts = defaultdict[str, list[int]](list)
    for caller, response in zip(order, responses, strict=True):
        if response is not None:
            check(caller, response)
            counts[f"{caller.label} {caller.subject}"].append(remaining_quota(response))
    # Each count was returned once, even if another request's client had disconnected.
    assert all(len(set(values)) == len(values) for values in counts.values())
