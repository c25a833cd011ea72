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
from tests.support.crashing import AT_SHUTDOWN, AT_STARTUP, IN_BACKGROUND, IN_REQUESTS
from tests.support.http import bearer
from tests.support.planted import ORIGIN, Planted, planted
from tests.support.ports import free_ports
from tests.support.process import START_SECONDS, serving, start, until, url
from tests.support.raw import exchange
from tests.support.service import merged_settings, with_state
from tests.support.spans import texts


@pytest.fixture
def world() -> Iterator[Planted]:
    """Run the servers that a service with planted strings calls."""
    with planted() as made:
        yield made


def failures(canaries: Canaries) -> list[Fault]:
    """Return Apideck's failures, with planted strings in every text that could be quoted."""
    free_text = str(canaries)
    elsewhere = f"https://evil.example/{canaries.session_token}"
    return [
        faults.error(400, {"consumer_metadata.email": free_text}),
        faults.error(400, free_text, name=f"Error{canaries.email}"),
        *(faults.error(status, free_text) for status in (401, 402, 403, 404, 422, 429, 500, 503)),
        faults.Answer(502, free_text.encode(), {"content-type": "text/html"}),
        faults.Answer(418, free_text.encode()),
        faults.redirect(elsewhere),
        faults.whole(free_text.encode()),
        faults.whole(json.dumps({"data": free_text}).encode()),
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
    bad, free_text = canaries.bad_token, canaries.free_text
    page = {"origin": ORIGIN, "x-vault-session": "1", "content-type": "application/json"}
    return [
        {"headers": bearer(bad)},
        {"headers": bearer(f"{bad}.{bad}.{bad}")},
        {"headers": {"authorization": f"Basic {bad}"}},
        {"headers": {"authorization": f"Bearer {bad} {free_text}"}},
        {"headers": [*bearer(bad).items(), *bearer(canaries.callers_token).items()]},
        {"headers": {**page, "cookie": f"app_session={bad}"}},
        {"headers": {**page, "cookie": f'app_session="{bad}'}},
        {"headers": {**page, "cookie": f"spa={bad}"}},
        {"headers": {"cookie": f"app_session={canaries.cookie}"}},
        {"headers": {**page, "cookie": f"app_session={canaries.cookie}", "origin": "null"}},
        {"headers": {"x-request-id": f"<{free_text}>", "x-forwarded-user": free_text}},
        {"params": {"access_token": bad, "consumer_id": free_text}},
    ]


def rejected_bodies(canaries: Canaries) -> list[bytes]:
    """Return bodies that are rejected, with planted strings as their values.

    The audit event has the redirect target and the consumer that a rejected request names, without
    the user info, query and fragment of a URI.
    """
    free_text = canaries.free_text
    bodies: list[Any] = [
        free_text,
        {"return_to": "nowhere", "theme": free_text},
        {"redirect_uri": f"https://{free_text}@evil.example/?{free_text}#{free_text}"},
        {"redirect_uri": f"https://evil.example/#{free_text}"},
        {"consumer_id": free_text, "consumer_metadata": {"email": canaries.email}},
        {"settings": {"session_length": free_text, "unified_apis": [free_text]}},
        {"theme": {"logo": free_text, "primary_color": free_text * 5}},
        {"connection": {"unified_api": free_text, "service_id": free_text}},
    ]
    return [
        f'{{"return_to": "{free_text}'.encode(),
        free_text.encode("utf-16"),
        b'{"a": "' + free_text.encode() * 1000 + b'"}',
        *(json.dumps(body).encode() for body in bodies),
    ]


def send_requests(client: httpx.Client, world: Planted) -> list[httpx.Response]:
    """Send a request for every path through the service, and return the responses."""
    responses = []
    callers = world.callers()
    for headers, body in callers.values():
        responses.append(client.post("/vault-session", headers=headers, json=body))
        assert responses[-1].status_code == 201, responses[-1].text
    signed = callers["signed token"][0]
    for fault in failures(world.canaries):
        # Twice, because the service retries some of them.
        world.apideck.fail(fault, times=2)
        responses.append(client.post("/vault-session", headers=signed))
        world.apideck.reset()
        world.respond_with_session_token()
    for request in malformed(world.canaries):
        responses.append(client.post("/vault-session", json={}, **request))
        assert responses[-1].status_code in {400, 401, 403}, responses[-1].text
    typed = {**signed, "content-type": "application/json"}
    for content in rejected_bodies(world.canaries):
        responses.append(client.post("/vault-session", headers=typed, content=content))
        assert responses[-1].status_code in {403, 413, 422}, responses[-1].text
    free_text = world.canaries.free_text
    untyped = {**signed, "content-type": f"text/{free_text}"}
    responses.append(client.post("/vault-session", headers=untyped, content=free_text))
    responses.append(client.delete("/vault-session", params={free_text: free_text}))
    # The caller can correct what it supplied itself.
    world.apideck.fail(faults.error(400, {"consumer_metadata.email": free_text}))
    headers, body = callers["service"]
    responses.append(client.post("/vault-session", headers=headers, json=body))
    responses += fail_other_dependencies(client, world)
    responses += read_connections(client, world)
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


def read_connections(client: httpx.Client, world: Planted) -> list[httpx.Response]:
    """Read connections whose fields contain credentials, and let such reads fail."""
    callers = world.callers()
    signed, service = callers["signed token"][0], callers["service"][0]
    page = {"origin": ORIGIN, "cookie": callers["application"][0]["cookie"]}
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
    free_text = world.canaries.free_text
    for fault in failures(world.canaries):
        world.apideck.fail_connections(fault)
        responses += [client.get(path, headers=signed) for path in ("/vault-connections", one)]
    world.apideck.reset()
    world.respond_with_session_token()
    malformed_requests: tuple[tuple[str, dict[str, str], dict[str, str]], ...] = (
        ("/vault-connections", {"consumer_id": free_text}, signed),
        ("/vault-connections", {"unified_api": free_text}, signed),
        ("/vault-connections", {"unknown": free_text}, signed),
        (f"/vault-connections/accounting/{free_text}", {}, signed),
        ("/vault-connections", {}, bearer(world.canaries.bad_token)),
        ("/vault-connections", {}, {**page, "origin": f"https://{free_text}.example"}),
    )
    for path, params, headers in malformed_requests:
        responses.append(client.get(path, params=params, headers=headers))
        assert responses[-1].status_code in {401, 403, 422}, responses[-1].text
    return responses


def fail_other_dependencies(client: httpx.Client, world: Planted) -> list[httpx.Response]:
    """Make the issuer and the cookie session app fail in every way, and return the responses."""
    responses = []
    new_token = f"{world.canaries.bad_token}-{{}}"
    for number, fault in enumerate(("down", "html", "redirect", "oversized")):
        world.issuer.fault = fault
        responses.append(client.post("/vault-session", headers=bearer(new_token.format(number))))
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
    """Return settings with one request at a time, and one allowed host, scope and grant."""
    return {
        "apideck": {
            # A request to which Apideck does not respond lasts until the process ends.
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
    """Send bytes that no client library sends, and return the response."""
    data = exchange(client.base_url.port or 0, request).data
    head, _, body = data.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    return httpx.Response(int(status.split()[1]), headers=headers, content=body)


def send_rejected_requests(
    client: httpx.Client, world: Planted, process: "subprocess.Popen[str]"
) -> list[httpx.Response]:
    """Send what a strict service rejects, then shut it down; return the responses."""
    canaries, callers = world.canaries, world.callers()
    free_text = canaries.free_text
    service, consumer = callers["service"]
    start = b"POST /vault-session HTTP/1.1\r\nHost: service\r\nX-Words: "

    def post(headers: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        return client.post("/vault-session", headers=headers, json=body)

    responses = [
        *(post(*callers["signed token"]) for _ in range(2)),
        post(bearer(world.issuer.token(org_id=canaries.name)), {}),
        post(bearer(world.issuer.service_token(aud="services", scope=free_text)), consumer),
        post(service, {**consumer, "consumer_id": "not-granted"}),
        post({"host": free_text}, {}),
        send_raw(client, f"{canaries}\r\n\r\n".encode()),
        send_raw(client, start + free_text.encode() * 3000 + b"\r\n\r\n"),
        send_raw(client, start + free_text.encode()),
    ]
    # This opens the breaker, so there is no second attempt.
    world.apideck.fail(faults.error(503, str(canaries)), times=None)
    responses.append(post(*callers["token in a cookie"]))
    world.apideck.reset()
    world.apideck.fail(Broken("hang"), times=None)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(post, service, consumer)
        until(lambda: len(world.apideck.requests) == 1)
        responses.append(post(*callers["opaque token"]))
        process.terminate()
        responses.append(waiting.result())
    return responses


@contextmanager
def searched_service(
    world: Planted, folder: Path, **groups: Any
) -> Iterator[tuple[httpx.Client, "subprocess.Popen[str]"]]:
    """Run the service, and search its output for secrets; yields a client and the process."""
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
    assert world.canaries.found_in(out.read_text()) == set()
    # A signed token cannot be a planted string, but every token begins with this.
    assert "eyJ" not in out.read_text()


def problems(responses: list[httpx.Response]) -> set[tuple[int, str]]:
    """Return the status and the slug of every problem among the responses."""
    return {
        (response.status_code, response.json()["type"].rpartition("/")[2])
        for response in responses
        if response.headers.get("content-type") == "application/problem+json"
    }


INTERNAL_ERROR = (500, "internal-error")
"""No request causes this one; test_a_crash_in_a_request_quotes_nothing covers it."""


def test_no_planted_secret_is_logged_or_returned(world: Planted, tmp_path: Path) -> None:
    """In every success and failure, at debug level, no secret is logged, returned or traced."""
    with searched_service(world, tmp_path) as (client, _):
        responses = send_requests(client, world)
    with searched_service(world, tmp_path, **strict(world.canaries)) as (client, process):
        responses += send_rejected_requests(client, world, process)

    # test_event_leaks.py covers the problems of the webhook endpoint.
    every = (*OF_SESSIONS, *OF_CONNECTIONS, *BY_STATUS.values())
    possible = {(one.status, one.slug) for one in every}
    assert problems(responses) | {INTERNAL_ERROR} >= possible
    log = (tmp_path / "out").read_text()
    for event in ("limit_store_failed", "no request sent to Apideck"):
        assert event in log
    for response in responses:
        # Only two fields of a success contain the token.
        body = response.json() if response.status_code == 201 else {}
        belongs = body.pop("session_token", ""), body.pop("redirect_url", "")
        assert all(world.canaries.session_token in place for place in belongs if body)
        rest = json.dumps(body) if body else response.text
        assert world.canaries.found_in(f"{rest} {response.headers!r}") == set()
    exports = [body for _, _, body in world.to_collector.requests]
    assert world.canaries.found_in(b"".join(exports)) == set()
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
    settings = merged_settings(strict(world.canaries), {"limits": {**store, "total": "1000/day"}})
    with Redis.from_url(redis_url) as redis, redis.monitor() as monitor:
        with searched_service(world, tmp_path, **settings) as (client, process):
            for headers, body in world.callers().values():
                response = client.post("/vault-session", headers=headers, json=body)
                assert response.status_code == 201
            returned = problems(send_rejected_requests(client, world, process))
        redis.echo("the end")
        sent = list(iter(lambda: monitor.next_command()["command"], "ECHO the end"))

    assert (429, "rate-limited") in returned
    assert "limit_store_failed" not in (tmp_path / "out").read_text()
    keys = {word for line in sent for word in line.split() if prefix in word}
    counted = {key.split(":")[1] for key in keys}
    assert counted == {"user", "service", "total"}
    assert len(keys) == len(world.callers()) + 1
    for key in keys:
        assert re.fullmatch(rf"\{{{prefix}\}}:(total:all|(user|service):[0-9a-f]{{64}})", key)
    everything = "\n".join(sent)
    assert world.canaries.found_in(everything) == set()
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
        assert canaries.found_in(f"{seen.path} {others!r}") == set()
        assert canaries.found_in(seen.body, ignore=["name", "email"]) == set()
    introspections = 0
    for path, sent, content in world.to_issuer.requests:
        is_introspection = path.startswith("/introspect")
        introspections += is_introspection
        belongs = ["client_secret", "callers_token"] if is_introspection else []
        assert canaries.found_in(f"{path} {sent!r} {content!r}", ignore=belongs) == set()
        assert is_introspection or path.startswith("/userinfo") or "authorization" not in sent
    assert introspections == 1
    [(path, sent, content)] = world.to_application.requests
    assert sent["cookie"] == f"app_session={canaries.cookie}"
    assert canaries.found_in(f"{path} {sent!r} {content!r}", ignore=["cookie"]) == set()
    assert any(b"verify credential" in content for _, _, content in world.to_collector.requests)
    for path, sent, content in world.to_collector.requests:
        assert sent.pop("x-collector-key") == canaries.collector_key
        assert canaries.found_in(f"{path} {sent!r} {content!r}") == set()


def crashes(log: str) -> int:
    """Return the number of crashes in a log."""
    return log.count("tests.support.crashing.CrashError") + log.count("__main__.CrashError")


@contextmanager
def crashing(
    world: Planted, port: int, folder: Path, at: str
) -> Iterator[tuple[dict[str, str], Path, "subprocess.Popen[str]"]]:
    """Run the service with a planted bug; yields its environment, its output and the process."""
    crash = {"CRASH_MESSAGE": str(world.canaries), "CRASH_AT": str(folder / "at")}
    environment = {**world.environment(port), **crash}
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
    assert world.canaries.found_in(output.read_text()) == set()


def wait_for_log(client: httpx.Client, output: Path) -> None:
    """Wait until the log file contains everything that was logged before this call."""
    marker = secrets.token_hex(16)
    # On a new connection, because the server closes the used one after a crash.
    httpx.get(client.base_url.join("/livez"), headers={"x-request-id": marker})
    until(lambda: marker in output.read_text())


def test_a_crash_in_a_request_quotes_nothing(
    world: Planted, unused_tcp_port: int, tmp_path: Path
) -> None:
    """An exception whose message has every secret is logged with its location, but no message."""
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
                assert world.canaries.found_in(shown, ignore=belongs) == set(), place
            (tmp_path / "at").write_text("")
            wait_for_log(client, output)
            assert crashes(output.read_text()) > before, place
        assert INTERNAL_ERROR in problems(responses)
        headers, body = world.callers()["signed token"]
        assert client.post("/vault-session", headers=headers, json=body).status_code == 201
        client.close()


@pytest.mark.parametrize("place", IN_BACKGROUND)
def test_a_crash_in_the_background_quotes_nothing_and_is_retried(
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


@pytest.mark.parametrize("place", [*AT_STARTUP, *AT_SHUTDOWN])
def test_a_crash_at_startup_or_shutdown_quotes_nothing(
    world: Planted, unused_tcp_port: int, tmp_path: Path, place: str
) -> None:
    """A process that fails to start or to shut down logs only the location of the error."""
    at_once = place in AT_STARTUP
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
def test_invalid_settings_are_not_quoted(
    world: Planted, monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    """An error names settings, and does not show their values."""
    for name, value in world.environment(8000).items():
        monkeypatch.setenv(name, value)
    for group, below in wrong.items():
        over = json.loads(json.dumps(below).replace("{key}", world.canaries.api_key))
        merged = {**world.settings().get(group, {}), **over} if isinstance(over, dict) else over
        monkeypatch.setenv(group.upper(), merged if isinstance(merged, str) else json.dumps(merged))

    with pytest.raises(ConfigurationError) as error:
        load_settings()

    shown = "".join(traceback.format_exception(error.value))
    assert world.canaries.found_in(f"{shown} {error.value!r}") == set()


@pytest.mark.parametrize("store", ["redis://:{key}@127.0.0.1:port/0", "redis://:{key}@[::1"])
def test_a_store_that_cannot_be_opened_is_not_quoted(
    world: Planted, unused_tcp_port: int, store: str
) -> None:
    """A process with an unusable store URL does not start, and shows only the setting's name."""
    environment = world.environment(unused_tcp_port)
    environment["LIMITS__STORE"] = store.replace("{key}", world.canaries.store_password)
    out, err = start("serve", environment).communicate(timeout=START_SECONDS)

    assert err.startswith("LIMITS__STORE: ")
    assert world.canaries.found_in(out + err) == set()


def test_no_representation_of_the_settings_shows_a_secret(world: Planted) -> None:
    """No representation of the settings contains a secret."""
    settings = Settings.model_validate(world.settings())
    every = settings.apideck.all_unify_apps()

    for shown in (settings, settings.apideck, settings.limits, settings.identity, *every.values()):
        texts = [repr(shown), str(shown), shown.model_dump_json(), repr(shown.model_dump())]
        texts += [repr(shown.model_dump(mode="json")), f"{shown!r:>10}"]
        assert world.canaries.found_in(" ".join(texts)) == set()


def reachable(roots: list[Any]) -> list[Any]:
    """Return every object that is reachable from these objects within the running service.

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
STRINGS_AND_CONTAINERS = (
    str,
    bytes,
    bytearray,
    memoryview,
    dict,
    list,
    tuple,
    set,
    frozenset,
    types.CellType,
)


def types_that_show_secrets(world: Planted, within: list[Any]) -> set[str]:
    """Return the types of the objects whose repr or str shows a planted string."""
    return {
        f"{type(one).__module__}.{type(one).__qualname__}"
        for one in within
        if not isinstance(one, STRINGS_AND_CONTAINERS) and world.canaries.found_in(_shown(one))
    }


async def test_no_reachable_object_shows_a_secret(world: Planted) -> None:
    """No object shows a secret between requests, and no object of the service during requests."""
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
            # A canceled task ends in the next iteration of the event loop. Until then, this test is
            # reachable through it.
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
            shown = types_that_show_secrets(world, idle), types_that_show_secrets(world, busy)
            found = set().union(*(world.canaries.found_in(x) for x in idle if isinstance(x, str)))
            for task in requests:
                task.cancel()
            await asyncio.gather(*requests, return_exceptions=True)

    # The search has reached the secrets, and the objects that use them.
    assert {"api_key", "client_secret", "store_password", "name", "email"} <= found
    assert "Exchange" in {type(one).__name__ for one in busy}
    assert shown == (set(), set())


def _shown(one: Any) -> str:
    try:
        return f"{one!r} {one!s}"
    except Exception:  # noqa: BLE001 - an object without a repr shows nothing
        return ""
