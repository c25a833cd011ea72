"""Many callers of many tenants at once: whatever is remembered or shared, each gets their own.

Every answer says for whom it is, because the emulator's session token holds in clear what was sent.
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

AT_ONCE = 120
TENANTS = 12
QUOTA = 1000
ORIGIN = "https://app.example.com"
PAGE = {"origin": ORIGIN, "x-vault-session": "1", "content-type": "application/json"}


@dataclass(frozen=True)
class One:
    """A caller: what they send, and what the answer must say; nothing for one who gets none."""

    label: str
    headers: dict[str, str]
    subject: str = ""
    consumer: str = ""
    application: str = APP_ID
    metadata: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def person(number: int) -> Person:
    """Return somebody; several of them share each tenant."""
    tenant = f"tenant{number % TENANTS}"
    name = f"person{number}"
    return Person(name, f"Name of {name}", f"{name}@{tenant}.example", tenant, f"{tenant} Inc.", "")


def metadata(of: Person) -> dict[str, str]:
    """Return what Apideck is to be told of somebody."""
    return {"account_name": of.org_name, "user_name": of.name, "email": of.email}


def crowd(issuer: DevelopmentIssuer, application: CookieSessionApp) -> list[One]:
    """Return callers of every kind, and strangers who look like them."""
    callers: list[One] = []
    for number in range(24):
        one = person(number)
        region = "us" if number % 2 else "default"
        claims: dict[str, Any] = {"region": region}
        shared: dict[str, Any] = {
            "subject": one.id,
            "application": "app-us" if number % 2 else APP_ID,
            "metadata": metadata(one),
        }
        org = one.org_id
        signed = issuer.token(one.id, algorithm="ES256", **claims)
        asking = issuer.token(
            one.id, algorithm="ES256", aud="userinfo", omit=["email", "name"], **claims
        )
        opaque = issuer.opaque_token(one.id, aud="opaque", **claims)
        cookie = f"session-of-{one.id}"
        application.sessions[cookie] = {**one.claims(""), **claims}
        from_page = {**PAGE, "cookie": f"app_session={cookie}"}
        callers += [
            One("signed", bearer(signed), consumer=f"main-{org}", **shared),
            One("userinfo", bearer(asking), consumer=f"userinfo-{org}", **shared),
            One("opaque", bearer(opaque), consumer=f"opaque-{org}", **shared),
            One("cookie", from_page, consumer=f"rails-{org}", **shared),
            One("forged", bearer(f"{signed[:-8]}AAAAAAAA")),
            One("made up", bearer(f"{opaque[:-1]}x")),
            One("guessed", {**PAGE, "cookie": f"app_session={cookie}x"}),
        ]
    for number in range(6):
        client = f"robot{number}"
        token = issuer.service_token(client, aud="services")
        body = {"consumer_id": "tenant0"}
        callers.append(One("service", bearer(token), client, "tenant0", body=body))
    return callers


@pytest.fixture
def application() -> CookieSessionApp:
    """Return an application with sessions of its own."""
    return CookieSessionApp()


@pytest.fixture(params=["memory", "redis"])
def store(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return settings of a place to count, of each kind."""
    if request.param == "memory":
        return {"store": "memory"}
    prefix = f"isolation-{time.monotonic_ns()}"
    url = request.getfixturevalue("redis_url")
    return {"store": url, "store_prefix": prefix, "store_timeout_seconds": 5}


def settings_of(
    issuer: DevelopmentIssuer, apideck_url: str, whoami_url: str, store: dict[str, Any]
) -> Settings:
    """Return settings with every cache, and with limits that tell each caller their count."""
    claims = {"consumer_id": "org_id", "account_name": "org_name", "image": None}
    own = {
        "claims": claims,
        "apideck": {"claim": "region", "allowed": ["default", "us"]},
    }
    client = {"client_id": CLIENT_ID, "client_secret": CLIENT_SECRET}
    robots = [f"robot{number}" for number in range(6)]
    places: dict[str, dict[str, Any]] = {
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
        for name, more in places.items()
    }
    rails = {"cookie": "app_session", "whoami_url": whoami_url, "consumer_prefix": "rails-", **own}
    # As much time as there is: what is looked for is mistaken identity, not delay.
    patient = {"deadline_seconds": 60, "attempt_timeout_seconds": 60}
    return settings_for(
        issuer.issuer,
        apideck_url,
        apideck={"unify_apps": {"us": {"api_key": API_KEY, "app_id": "app-us"}}, **patient},
        identity={
            "issuers": issuers,
            "cookie_sessions": {"rails": rails},
            "fetch_timeout_seconds": 30,
        },
        cors={"allow_origins": [ORIGIN]},
        limits={"per_user": f"{QUOTA}/day", "per_service": f"{QUOTA}/day", **store},
    )


def said(answer: httpx.Response) -> dict[str, Any]:
    """Return what the session of an answer was made with."""
    payload = answer.json()["session_token"].split(".")[1]
    claims: dict[str, Any] = json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def left(answer: httpx.Response) -> int:
    """Return how many more sessions an answer says its caller may ask for."""
    return int(answer.headers["ratelimit"].partition(";r=")[2].partition(";")[0])


def check(one: One, answer: httpx.Response) -> None:
    """Make sure that an answer is this caller's."""
    if not one.consumer:
        assert answer.status_code == 401, one
        return
    assert answer.status_code == 201, answer.text
    made = said(answer)
    assert (made["consumer_id"], made["application_id"]) == (one.consumer, one.application)
    assert made.get("consumer_metadata", {}) == one.metadata


async def interleaved(
    order: list[One], ask: Callable[[One], Awaitable[httpx.Response]]
) -> list[tuple[One, httpx.Response]]:
    """Ask in this order, so many at once, and return each caller's answers."""
    places = asyncio.Semaphore(AT_ONCE)

    async def asked(one: One) -> tuple[One, httpx.Response]:
        async with places:
            return one, await ask(one)

    return await asyncio.gather(*map(asked, order))


@pytest.mark.parametrize(
    # Fewer across a network, where each takes longer.
    ("store", "requests"),
    [("memory", 3000), ("redis", 600)],
    indirect=["store"],
)
async def test_no_answer_reaches_another_caller(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
    store: dict[str, Any],
    requests: int,
    verified: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of very many interleaved requests each is answered, counted and logged as its caller's."""
    assert apideck.requests == []
    for number in range(24):
        monkeypatch.setitem(PEOPLE, f"person{number}", person(number))
    chance = random.Random(20260131)  # noqa: S311 - an order that can be repeated
    callers = crowd(issuer, application)
    # In pairs, as double clicks come; twice over, so that the caches are cold and then warm.
    order = [one for one in chance.choices(callers, k=requests // 2) for _ in range(2)]
    with application.serve() as whoami_url:
        settings = settings_of(issuer, apideck_url, whoami_url, store)
        merge = structlog.contextvars.merge_contextvars
        with capture_logs(processors=[merge]) as logs:
            async with running(settings) as service:
                answers = await interleaved(
                    order,
                    lambda one: service.post("/vault-session", headers=one.headers, json=one.body),
                )

    owners: dict[str, One] = {}
    remaining = defaultdict[str, list[int]](list)
    subjects = {
        line["request_id"]: line["subject"]
        for line in logs
        if line["event"].startswith("vault_session_")
    }
    for one, answer in answers:
        check(one, answer)
        assert subjects[answer.headers["x-request-id"]] == (one.subject or None)
        if one.consumer:
            assert owners.setdefault(answer.json()["session_token"], one) is one
            remaining[f"{one.label} {one.subject}"].append(left(answer))
    # Each was counted alone: nobody's requests took from another's quota, and none went uncounted.
    for counts in remaining.values():
        assert sorted(counts, reverse=True) == list(range(QUOTA - 1, QUOTA - 1 - len(counts), -1))
    # The caches and the joining were at work, or this would have shown nothing.
    minted = sum(1 for one, _ in answers if one.consumer)
    assert len(owners) < minted
    asked = Counter(one.label for one, _ in answers)
    assert len(application.seen) < asked["cookie"]
    assert issuer.counts["introspection"] < asked["opaque"]
    assert issuer.counts["userinfo"] < asked["userinfo"]
    looked_at = Counter(bearer(token)["authorization"] for token in verified)
    for label in ("signed", "service"):
        theirs = {one.headers["authorization"] for one, _ in answers if one.label == label}
        assert sum(looked_at[token] for token in theirs) < asked[label]


async def test_who_hangs_up_leaves_nothing_behind_for_others(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    apideck: ApideckEmulator,
    application: CookieSessionApp,
    store: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests that end in the middle neither end nor answer anybody else's."""
    assert apideck.requests == []
    for number in range(24):
        monkeypatch.setitem(PEOPLE, f"person{number}", person(number))
    chance = random.Random(4)  # noqa: S311 - likewise
    callers = [one for one in crowd(issuer, application) if one.consumer]
    order = [one for one in chance.choices(callers, k=300) for _ in range(2)]

    with application.serve() as whoami_url:
        async with running(settings_of(issuer, apideck_url, whoami_url, store)) as service:

            async def ask(one: One) -> httpx.Response | None:
                asking = service.post("/vault-session", headers=one.headers, json=one.body)
                try:
                    async with asyncio.timeout(chance.choice([None, None, 0.005, 0.02, 0.05])):
                        return await asking
                except TimeoutError:
                    return None

            answers = await asyncio.gather(*(ask(one) for one in order))

    gone = [answer for answer in answers if answer is None]
    assert 0 < len(gone) < len(order)
    counts = defaultdict[str, list[int]](list)
    for one, answer in zip(order, answers, strict=True):
        if answer is not None:
            check(one, answer)
            counts[f"{one.label} {one.subject}"].append(left(answer))
    # Each count was told once: what was counted for one who had gone was told to nobody else.
    assert all(len(set(told)) == len(told) for told in counts.values())
