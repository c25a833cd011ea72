"""Planted secrets, searched for in everything that the service logs, returns and sends.

The strings have no particular form, so the redactor cannot recognize them: the service must not log
them in the first place.
"""

import asyncio
import gc
import inspect
import json
import logging
import re
import secrets
import subprocess
import threading
import time
import traceback
import types
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from redis import Redis

from app.api.responses import OF_CONNECTIONS, OF_SESSIONS
from app.api.status_problems import BY_STATUS
from app.errors import ConfigurationError
from app.main import create_app
from app.observability.redaction import Redactor
from app.observability.telemetry import Telemetry
from app.settings import Settings
from app.settings.sources import load_settings
from emulators.apideck import faults
from emulators.apideck.faults import Broken, Dribble, Fault
from tests.support.canaries import Canaries
from tests.support.crashing import AT_THE_END, AT_THE_START, IN_REQUESTS, IN_THE_BACKGROUND
from tests.support.http import bearer
from tests.support.planted import ORIGIN, Planted, planted
from tests.support.ports import free_ports
from tests.support.process import START_SECONDS, serving, start, until, url
from tests.support.raw import exchange
from tests.support.service import laid_over, with_state
from tests.support.spans import texts


@pytest.fixture
def world() -> Iterator[Planted]:
    """Run the servers that a service with planted strings calls."""
    with planted() as made:
        yield made


def failures(canaries: Canaries) -> list[Fault]:
    """Return Apideck's failures, with planted strings in every text that could be quoted."""
    words = str(canaries)
    elsewhere = f"https://evil.example/{canaries.session_token}"
    return [
        faults.error(400, {"consumer_metadata.email": words}),
        faults.error(400, words, name=f"Error{canaries.email}"),
        *(faults.error(status, words) for status in (401, 402, 403, 404, 422, 429, 500, 503)),
        faults.Answer(502, words.encode(), {"content-type": "text/html"}),
        faults.Answer(418, words.encode()),
        faults.redirect(elsewhere),
        faults.whole(words.encode()),
        faults.whole(json.dumps({"data": words}).encode()),
        faults.data(session_uri=elsewhere),
        faults.data(session_token=canaries.session_token),
        faults.truncated(),
        faults.compressed(),
        faults.oversized(),
        Broken("reset"),
        Broken("close"),
        Broken("cut"),
        Broken("hang"),
        Dribble(0.05),
    ]


def malformed(canaries: Canaries) -> list[dict[str, Any]]:
    """Return requests that are rejected, with planted strings wherever one fits."""
    bad, words = canaries.bad_token, canaries.words
    page = {"origin": ORIGIN, "x-vault-session": "1", "content-type": "application/json"}
    return [
        {"headers": bearer(bad)},
        {"headers": bearer(f"{bad}.{bad}.{bad}")},
        {"headers": {"authorization": f"Basic {bad}"}},
        {"headers": {"authorization": f"Bearer {bad} {words}"}},
        {"headers": [*bearer(bad).items(), *bearer(canaries.callers_token).items()]},
        {"headers": {**page, "cookie": f"app_session={bad}"}},
        {"headers": {**page, "cookie": f'app_session="{bad}'}},
        {"headers": {**page, "cookie": f"spa={bad}"}},
        {"headers": {"cookie": f"app_session={canaries.cookie}"}},
        {"headers": {**page, "cookie": f"app_session={canaries.cookie}", "origin": "null"}},
        {"headers": {"x-request-id": f"<{words}>", "x-forwarded-user": words}},
        {"params": {"access_token": bad, "consumer_id": words}},
    ]


def rejected_bodies(canaries: Canaries) -> list[bytes]:
    """Return bodies that are rejected, with planted strings as their values.

    The audit event has the redirect target and the consumer that a rejected request asks for, but
    for a URI's user info, query and fragment.
    """
    words = canaries.words
    bodies: list[Any] = [
        words,
        {"return_to": "nowhere", "theme": words},
        {"redirect_uri": f"https://{words}@evil.example/?{words}#{words}"},
        {"redirect_uri": f"https://evil.example/#{words}"},
        {"consumer_id": words, "consumer_metadata": {"email": canaries.email}},
        {"settings": {"session_length": words, "unified_apis": [words]}},
        {"theme": {"logo": words, "primary_color": words * 5}},
        {"connection": {"unified_api": words, "service_id": words}},
    ]
    return [
        f'{{"return_to": "{words}'.encode(),
        words.encode("utf-16"),
        b'{"a": "' + words.encode() * 1000 + b'"}',
        *(json.dumps(body).encode() for body in bodies),
    ]


def drive(client: httpx.Client, world: Planted) -> list[httpx.Response]:
    """Send a request for every path through the service, and return the responses."""
    responses = []
    ask = world.callers()
    for headers, body in ask.values():
        responses.append(client.post("/vault-session", headers=headers, json=body))
        assert responses[-1].status_code == 201, responses[-1].text
    signed = ask["signed token"][0]
    for fault in failures(world.canaries):
        # Twice, because the service retries some of them.
        world.apideck.fail(fault, times=2)
        responses.append(client.post("/vault-session", headers=signed))
        world.apideck.reset()
        world.respond_with_it()
    for request in malformed(world.canaries):
        responses.append(client.post("/vault-session", json={}, **request))
        assert responses[-1].status_code in {400, 401, 403}, responses[-1].text
    typed = {**signed, "content-type": "application/json"}
    for content in rejected_bodies(world.canaries):
        responses.append(client.post("/vault-session", headers=typed, content=content))
        assert responses[-1].status_code in {403, 413, 422}, responses[-1].text
    words = world.canaries.words
    untyped = {**signed, "content-type": f"text/{words}"}
    responses.append(client.post("/vault-session", headers=untyped, content=words))
    responses.append(client.delete("/vault-session", params={words: words}))
    # The caller can correct what it supplied itself.
    world.apideck.fail(faults.error(400, {"consumer_metadata.email": words}))
    headers, body = ask["service"]
    responses.append(client.post("/vault-session", headers=headers, json=body))
    responses += failing_others(client, world)
    responses += reading_connections(client, world)
    paths = (
        "/livez",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/problems",
        "/" + str(world.canaries),
    )
    responses += [client.get(path) for path in paths]
    world.apideck.fail(Broken("hang"))
    with pytest.raises(httpx.ReadTimeout):
        client.post("/vault-session", headers=signed, timeout=0.1)
    return responses


def reading_connections(client: httpx.Client, world: Planted) -> list[httpx.Response]:
    """Read connections with a credential in every field that can hold one, and let that fail."""
    ask = world.callers()
    signed, service = ask["signed token"][0], ask["service"][0]
    page = {"origin": ORIGIN, "cookie": ask["application"][0]["cookie"]}
    one = "/vault-connections/accounting/xero"
    responses = []
    for headers, query in ((signed, {}), (page, {}), (service, {"consumer_id": "acme"})):
        listed = client.get("/vault-connections", headers=headers, params=query)
        assert listed.status_code == 200, listed.text
        consumer = world.apideck.requests[-1].header("x-apideck-consumer-id") or ""
        world.apideck.connect("app", consumer, "accounting", "xero")
        world.apideck.state.planted = world.canaries.credential
        found = client.get(one, headers=headers, params=query)
        again = client.get("/vault-connections", headers=headers, params=query)
        assert (found.json()["state"], again.status_code) == ("callable", 200)
        responses += [listed, found, again]
    words = world.canaries.words
    for fault in failures(world.canaries):
        world.apideck.fail_connections(fault)
        responses += [client.get(path, headers=signed) for path in ("/vault-connections", one)]
    world.apideck.reset()
    world.respond_with_it()
    malformed_requests: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
        ("/vault-connections", {"consumer_id": words}, signed),
        ("/vault-connections", {"unified_api": words}, signed),
        ("/vault-connections", {"unknown": words}, signed),
        (f"/vault-connections/accounting/{words}", {}, signed),
        ("/vault-connections", {}, bearer(world.canaries.bad_token)),
        ("/vault-connections", {}, {**page, "origin": f"https://{words}.example"}),
    )
    for path, params, headers in malformed_requests:
        responses.append(client.get(path, params=params, headers=headers))
        assert responses[-1].status_code in {401, 403, 422}, responses[-1].text
    return responses


def failing_others(client: httpx.Client, world: Planted) -> list[httpx.Response]:
    """Have the issuer and the cookie session app fail in every way, and return the responses."""
    responses = []
    fresh = f"{world.canaries.bad_token}-{{}}"
    for number, fault in enumerate(("down", "html", "redirect", "oversized")):
        world.issuer.fault = fault
        responses.append(client.post("/vault-session", headers=bearer(fresh.format(number))))
        token = world.issuer.token(headers={"kid": world.canaries.bad_token})
        responses.append(client.post("/vault-session", headers=bearer(token)))
    world.issuer.fault = None
    page = {"origin": ORIGIN, "x-vault-session": "1"}
    for status in (302, 403, 500):
        world.application.status = status
        cookie = {"cookie": f"app_session={world.canaries.cookie}-{status}"}
        responses.append(client.post("/vault-session", headers={**page, **cookie}, json={}))
    world.application.status = None
    assert {response.status_code for response in responses} == {401, 503}
    return responses


def strict(canaries: Canaries) -> dict[str, Any]:
    """Return settings of a service that admits one request, and knows one host, scope and grant."""
    return {
        "apideck": {
            # A request that Apideck does not answer lasts until the process ends.
            "deadline_seconds": 60,
            "attempt_timeout_seconds": 60,
            "unify_apps": {"brittle": {"api_key": canaries.api_key, "app_id": "brittle"}},
            "breaker": {"min_requests": 1, "open_seconds": 300},
        },
        "identity": {
            "issuers": {
                "main": {"claims": {"consumer_id": "org_id"}},
                "spa": {"apideck": {"unify_app": "brittle"}},
                "robots": {"required_scope": "vault:sessions", "grants": {"onboarding": ["acme"]}},
            }
        },
        "limits": {"store": "memory", "per_user": "1/day", "max_in_flight": 1, "max_waiting": 0},
        "server": {
            "allowed_hosts": ["127.0.0.1"],
            "receive_timeout_seconds": 1,
            "shutdown_grace_seconds": 1,
        },
    }


def send_raw(client: httpx.Client, request: bytes) -> httpx.Response:
    """Send bytes that no client library would send, and return the response."""
    data = exchange(client.base_url.port or 0, request).data
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


def provoke(
    client: httpx.Client, world: Planted, process: "subprocess.Popen[str]"
) -> list[httpx.Response]:
    """Send what a strict service rejects, then shut it down; return the responses."""
    canaries, ask = world.canaries, world.callers()
    words = canaries.words
    service, consumer = ask["service"]
    start = b"POST /vault-session HTTP/1.1\r\nHost: service\r\nX-Words: "

    def post(headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        return client.post("/vault-session", headers=headers, json=body)

    responses = [
        *(post(*ask["signed token"]) for _ in range(2)),
        post(bearer(world.issuer.token(org_id=canaries.name)), {}),
        post(bearer(world.issuer.service_token(aud="services", scope=words)), consumer),
        post(service, {**consumer, "consumer_id": "not-granted"}),
        post({"host": words}, {}),
        send_raw(client, f"{canaries}\r\n\r\n".encode()),
        send_raw(client, start + words.encode() * 3000 + b"\r\n\r\n"),
        send_raw(client, start + words.encode()),
    ]
    # This opens the breaker, so there is no second attempt.
    world.apideck.fail(faults.error(503, str(canaries)), times=None)
    responses.append(post(*ask["token in a cookie"]))
    world.apideck.reset()
    world.apideck.fail(Broken("hang"), times=None)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(post, service, consumer)
        until(lambda: len(world.apideck.requests) == 1)
        responses.append(post(*ask["opaque token"]))
        process.terminate()
        responses.append(waiting.result())
    return responses


@contextmanager
def watched(
    world: Planted, folder: Path, **groups: Any
) -> Iterator[tuple[httpx.Client, "subprocess.Popen[str]"]]:
    """Run the service, and search everything that it wrote; yields a client and the process."""
    environment = world.environment(free_ports(), **groups)
    out, err = folder / "out", folder / "err"
    with (
        out.open("a") as stdout,
        err.open("a") as stderr,
        serving(environment, into=(stdout, stderr)) as process,
    ):
        with httpx.Client(base_url=url(environment, ""), timeout=30) as client:
            yield client, process
        process.terminate()
        process.wait(timeout=START_SECONDS)
    assert err.read_text() == ""
    assert '"level":"debug"' in out.read_text()
    assert world.canaries.seen_in(out.read_text()) == set()
    # A signed token cannot be a planted string, but every token begins with this.
    assert "eyJ" not in out.read_text()


def problems(responses: list[httpx.Response]) -> set[tuple[int, str]]:
    """Return the status and the slug of every problem among the responses."""
    return {
        (response.status_code, response.json()["type"].rpartition("/")[2])
        for response in responses
        if response.headers.get("content-type") == "application/problem+json"
    }


BUG = (500, "internal-error")
"""No request causes this one; test_a_crash_in_a_request_quotes_nothing covers it."""


def test_no_planted_secret_is_logged_or_returned(world: Planted, tmp_path: Path) -> None:
    """In every success and failure, at debug level, no secret is logged, returned or traced."""
    with watched(world, tmp_path) as (client, _):
        responses = drive(client, world)
    with watched(world, tmp_path, **strict(world.canaries)) as (client, process):
        responses += provoke(client, world, process)

    # test_event_leaks.py has those of events.
    every = (*OF_SESSIONS, *OF_CONNECTIONS, *BY_STATUS.values())
    possible = {(one.status, one.slug) for one in every}
    assert problems(responses) | {BUG} >= possible
    log = (tmp_path / "out").read_text()
    for event in ("limit_store_failed", "no request sent to Apideck"):
        assert event in log
    for response in responses:
        # A success has the token in two fields, and nowhere else.
        body = response.json() if response.status_code == 201 else {}
        belongs = body.pop("session_token", ""), body.pop("redirect_url", "")
        assert all(world.canaries.session_token in place for place in belongs if body)
        rest = json.dumps(body) if body else response.text
        assert world.canaries.seen_in(f"{rest} {response.headers!r}") == set()
    exports = [body for _, _, body in world.to_collector.requests]
    assert world.canaries.seen_in(b"".join(exports)) == set()
    spans = texts(exports)
    assert "verify credential" in spans
    assert "ApideckUnavailableError" in spans
    assert "eyJ" not in spans


def test_the_rate_limit_store_gets_no_identity(
    world: Planted, redis_url: str, tmp_path: Path
) -> None:
    """The store gets digests and numbers, but no identity and no credential."""
    prefix = f"leaks-{time.monotonic_ns()}"
    store = {"store": redis_url, "store_prefix": prefix, "store_timeout_seconds": 5}
    settings = laid_over(strict(world.canaries), {"limits": {**store, "total": "1000/day"}})
    with Redis.from_url(redis_url) as redis, redis.monitor() as monitor:
        with watched(world, tmp_path, **settings) as (client, process):
            for headers, body in world.callers().values():
                response = client.post("/vault-session", headers=headers, json=body)
                assert response.status_code == 201
            met = problems(provoke(client, world, process))
        redis.echo("the end")
        sent = list(iter(lambda: monitor.next_command()["command"], "ECHO the end"))

    assert (429, "rate-limited") in met
    assert "limit_store_failed" not in (tmp_path / "out").read_text()
    keys = {word for line in sent for word in line.split() if prefix in word}
    counted = {key.split(":")[1] for key in keys}
    assert counted == {"user", "service", "total"}
    assert len(keys) == len(world.callers()) + 1
    for key in keys:
        assert re.fullmatch(rf"\{{{prefix}\}}:(total:all|(user|service):[0-9a-f]{{64}})", key)
    everything = "\n".join(sent)
    assert world.canaries.seen_in(everything) == set()
    assert "eyJ" not in everything
    # A digest can contain a name by chance.
    rest = re.sub(r"[0-9a-f]{40,64}", "", everything)
    for identity in ("ada", "acme", "onboarding", world.issuer.issuer, world.whoami_url):
        assert identity not in rest


def test_each_secret_is_sent_where_it_belongs_and_nowhere_else(
    world: Planted, unused_tcp_port: int, tmp_path: Path
) -> None:
    """The key goes to Apideck only, a token to its issuer, a cookie to its own app."""
    environment = world.environment(unused_tcp_port)
    output = tmp_path / "out"
    with output.open("w") as file, serving(environment, into=(file, file)) as process:
        for headers, body in world.callers().values():
            response = httpx.post(url(environment, "/vault-session"), headers=headers, json=body)
            assert response.status_code == 201
        process.terminate()  # At shutdown it exports the remaining spans.
        process.wait(timeout=START_SECONDS)

    canaries = world.canaries
    assert len(world.apideck.requests) == len(world.callers())
    for seen in world.apideck.requests:
        others = [pair for pair in seen.headers if pair[0] != "authorization"]
        assert seen.header("authorization") == f"Bearer {canaries.api_key}"
        assert canaries.seen_in(f"{seen.path} {others!r}") == set()
        assert canaries.seen_in(seen.body, but=["name", "email"]) == set()
    introspections = 0
    for path, sent, content in world.to_issuer.requests:
        asked = path.startswith("/introspect")
        introspections += asked
        belongs = ["client_secret", "callers_token"] if asked else []
        assert canaries.seen_in(f"{path} {sent!r} {content!r}", but=belongs) == set()
        assert asked or path.startswith("/userinfo") or "authorization" not in sent
    assert introspections == 1
    [(path, sent, content)] = world.to_application.requests
    assert sent["cookie"] == f"app_session={canaries.cookie}"
    assert canaries.seen_in(f"{path} {sent!r} {content!r}", but=["cookie"]) == set()
    assert any(b"verify credential" in content for _, _, content in world.to_collector.requests)
    for path, sent, content in world.to_collector.requests:
        assert sent.pop("x-collector-key") == canaries.collector_key
        assert canaries.seen_in(f"{path} {sent!r} {content!r}") == set()


def crashes(log: str) -> int:
    """Return the number of crashes in a log."""
    return log.count("tests.support.crashing.CrashError") + log.count("__main__.CrashError")


@contextmanager
def crashing(
    world: Planted, port: int, folder: Path, at: str
) -> Iterator[tuple[dict[str, str], Path, "subprocess.Popen[str]"]]:
    """Run the service with a planted bug; yields its environment, its output and the process."""
    words = {"CRASH_WORDS": str(world.canaries), "CRASH_AT": str(folder / "at")}
    environment = {**world.environment(port), **words}
    (folder / "at").write_text(at)
    output = folder / "output"
    program = ("tests.support.crashing",)
    with output.open("w") as file:
        if at:
            process = start("serve", environment, program=program, into=(file, file))
            yield environment, output, process
            process.wait(timeout=START_SECONDS)
        else:
            with serving(environment, program=program, into=(file, file)) as process:
                yield environment, output, process
                process.terminate()
                process.wait(timeout=START_SECONDS)
    assert world.canaries.seen_in(output.read_text()) == set()


def written_until_now(client: httpx.Client, output: Path) -> None:
    """Wait until everything that was logged before this call is in the log file."""
    marker = secrets.token_hex(16)
    # On a connection of its own: after a crash, the server closes the one that was used.
    httpx.get(client.base_url.join("/livez"), headers={"x-request-id": marker})
    until(lambda: marker in output.read_text())


def test_a_crash_in_a_request_quotes_nothing(
    world: Planted, unused_tcp_port: int, tmp_path: Path
) -> None:
    """An exception whose message has every secret is logged with its location only."""
    with crashing(world, unused_tcp_port, tmp_path, "") as (environment, output, _):
        client = httpx.Client(base_url=url(environment, ""))
        responses = []
        for place in IN_REQUESTS:
            before = crashes(output.read_text())
            (tmp_path / "at").write_text(place)
            requests = [*world.callers().values(), (bearer("x"), {})]
            for headers, body in requests:
                try:
                    response = client.post("/vault-session", headers=headers, json=body)
                except httpx.TransportError:
                    continue  # The crash prevented any response.
                responses.append(response)
                belongs = ["session_token"] if response.status_code == 201 else []
                shown = response.text + repr(response.headers)
                assert world.canaries.seen_in(shown, but=belongs) == set(), place
            (tmp_path / "at").write_text("")
            written_until_now(client, output)
            assert crashes(output.read_text()) > before, place
        assert BUG in problems(responses)
        headers, body = world.callers()["signed token"]
        assert client.post("/vault-session", headers=headers, json=body).status_code == 201
        client.close()


@pytest.mark.parametrize("place", IN_THE_BACKGROUND)
def test_a_crash_in_the_background_quotes_nothing_and_ends_nothing(
    world: Planted, unused_tcp_port: int, tmp_path: Path, place: str
) -> None:
    """A crash of a background refresh of keys is logged, and the refresh is tried again."""
    with crashing(world, unused_tcp_port, tmp_path, "") as (_, output, process):
        (tmp_path / "at").write_text(place)
        deadline = time.monotonic() + 10
        while crashes(output.read_text()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert crashes(output.read_text()) >= 2
        (tmp_path / "at").write_text("")
    assert process.returncode == 0


@pytest.mark.parametrize("place", [*AT_THE_START, *AT_THE_END])
def test_a_crash_at_the_start_or_the_end_quotes_nothing(
    world: Planted, unused_tcp_port: int, tmp_path: Path, place: str
) -> None:
    """A process that fails to start or to shut down logs where it failed, and no more."""
    at_once = place in AT_THE_START
    with crashing(world, unused_tcp_port, tmp_path, place if at_once else "") as (_, output, _):
        (tmp_path / "at").write_text(place)
    assert crashes(output.read_text()) > 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"apideck": {"api_key": "{key} {key}"}},
        {"apideck": {"api_key": ["{key}"]}},
        {"apideck": {"api_key": {"{key}": 1}}},
        {"apideck": {"api_key": "{key}", "api_key_file": "/nowhere"}},
        {"limits": {"store": "http://:{key}@127.0.0.1"}},
        {"identity": {"issuers": {"opaque": {"introspection": {"client_secret": ["{key}"]}}}}},
        {"session": {"return_to": {"home": "{key}"}}},
        {"cors": {"allow_origins": ["https://{key}@app.example.com"]}},
        {"log": {"level": "{key}"}},
        {"limits": {"per_user": "{key}"}},
    ],
    ids=json.dumps,
)
def test_settings_that_are_wrong_are_not_quoted(
    world: Planted, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """A fault has the names of settings, and nothing of their values."""
    for name, value in world.environment(8000).items():
        monkeypatch.setenv(name, value)
    for group, below in wrong.items():
        over = json.loads(json.dumps(below).replace("{key}", world.canaries.api_key))
        merged = {**world.settings().get(group, {}), **over} if isinstance(over, dict) else over
        monkeypatch.setenv(group.upper(), merged if isinstance(merged, str) else json.dumps(merged))

    with pytest.raises(ConfigurationError) as error:
        load_settings()

    told = "".join(traceback.format_exception(error.value))
    assert world.canaries.seen_in(f"{told} {error.value!r}") == set()


@pytest.mark.parametrize("store", ["redis://:{key}@127.0.0.1:port/0", "redis://:{key}@[::1"])
def test_a_store_that_cannot_be_opened_is_not_quoted(
    world: Planted, unused_tcp_port: int, store: str
) -> None:
    """A process whose store has no usable URL does not start, and shows only the setting's name."""
    environment = world.environment(unused_tcp_port)
    environment["LIMITS__STORE"] = store.replace("{key}", world.canaries.store_password)
    out, err = start("serve", environment).communicate(timeout=START_SECONDS)

    assert err.startswith("LIMITS__STORE: ")
    assert world.canaries.seen_in(out + err) == set()


def test_settings_can_be_shown(world: Planted) -> None:
    """No representation of the settings contains a secret."""
    settings = Settings.model_validate(world.settings())
    every = settings.apideck.all_unify_apps()

    for shown in (settings, settings.apideck, settings.limits, settings.identity, *every.values()):
        texts = [repr(shown), str(shown), shown.model_dump_json(), repr(shown.model_dump())]
        texts += [repr(shown.model_dump(mode="json")), f"{shown!r:>10}"]
        assert world.canaries.seen_in(" ".join(texts)) == set()


def reachable(roots: list[Any]) -> list[Any]:
    """Return every object that is reachable from these, without leaving the running service.

    Modules, classes and the globals of functions are not followed: they lead to the interpreter
    and from there to the test itself.
    """
    seen: dict[int, Any] = {}
    left = list(roots)
    skipped = (type, types.ModuleType, types.FrameType, logging.Manager, threading.Thread)
    while left:
        one = left.pop()
        if id(one) in seen or isinstance(one, skipped):
            continue
        seen[id(one)] = one
        if inspect.isfunction(one):
            left += [one.__closure__, one.__defaults__, one.__kwdefaults__, one.__dict__]
        else:
            left += gc.get_referents(one)
    return list(seen.values())


# A secret is a string, and containers show their items. No other object may show one.
HOLDERS = (str, bytes, bytearray, memoryview, dict, list, tuple, set, frozenset, types.CellType)


def showing(world: Planted, within: list[Any]) -> set[str]:
    """Return the types of the objects whose repr or str shows a planted string."""
    return {
        f"{type(one).__module__}.{type(one).__qualname__}"
        for one in within
        if not isinstance(one, HOLDERS) and world.canaries.seen_in(_shown(one))
    }


async def test_nothing_within_reach_shows_a_secret(world: Planted) -> None:
    """Between requests no object shows a secret, and during requests none of ours does."""
    app = create_app(Settings.model_validate(world.settings()), Telemetry(redactor=Redactor()))
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        roots = [app, dict(state)]
        transport = httpx.ASGITransport(with_state(app, dict(state)))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            before = asyncio.all_tasks()
            for headers, body in world.callers().values():
                response = await client.post("/vault-session", headers=headers, json=body)
                assert response.status_code == 201
            # A canceled task of a request ends one turn of the loop later. Until then, this test
            # would be reachable through it.
            async with asyncio.timeout(20):
                while asyncio.all_tasks() - before:  # noqa: ASYNC110 - there is no event to wait for
                    await asyncio.sleep(0)
            idle = reachable(roots)
            world.apideck.reset()
            world.apideck.fail(Broken("hang"), times=None)
            requests = [
                asyncio.create_task(client.post("/vault-session", headers=headers, json=body))
                for headers, body in world.callers().values()
            ]
            async with asyncio.timeout(20):
                while len(world.apideck.requests) < len(requests):  # noqa: ASYNC110 - in another thread
                    await asyncio.sleep(0.01)
            busy = [one for one in reachable(roots) if type(one).__module__.startswith("app.")]
            shown = showing(world, idle), showing(world, busy)
            held = set().union(*(world.canaries.seen_in(x) for x in idle if isinstance(x, str)))
            for task in requests:
                task.cancel()
            await asyncio.gather(*requests, return_exceptions=True)

    # The search has reached the secrets, and the objects that use them.
    assert {"api_key", "client_secret", "store_password", "name", "email"} <= held
    assert "Exchange" in {type(one).__name__ for one in busy}
    assert shown == (set(), set())


def _shown(one: Any) -> str:
    try:
        return f"{one!r} {one!s}"
    except Exception:  # noqa: BLE001 - an object without a repr shows nothing
        return ""
