"""A running service logs and returns no secrets and nothing of an event."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx

from app.api.body import MAX_BODY_BYTES
from app.webhooks.signature import MAX_BODY_BYTES as MAX_EVENT_BYTES
from emulators.issuer import DevelopmentIssuer
from tests.support.apideck_events import event, raw, sign, sorted_everywhere
from tests.support.canaries import Canaries
from tests.support.events_service import PATH, now
from tests.support.http import bearer, problem
from tests.support.process import environment_for, serving, url
from tests.support.webhook_target import WebhookTarget, status, webhook_target


def planted_event(canaries: Canaries, **changes: Any) -> bytes:
    """Return an event that has a planted string in every field where Apideck may put one."""
    body = event(occurred_at=now(), **changes)
    body["payload"]["entity"] |= {
        "name": canaries.name,
        "settings": {"password": canaries.client_secret, "instance_url": canaries.free_text},
        "metadata": {"email": canaries.email, canaries.free_text: [canaries.cookie]},
        "form_fields": [{"id": "token", "value": canaries.callers_token}],
    }
    return raw(body)


async def deliver_everything(
    http: httpx.AsyncClient, target: WebhookTarget, canaries: Canaries, key: str
) -> list[httpx.Response]:
    """Deliver planted events, of which some are forwarded and others fail in many ways."""
    valid = planted_event(canaries)
    responses = []
    for body, signature, path in [
        (valid, sign(valid, key), PATH),
        (valid, sign(sorted_everywhere(json.loads(valid)), key, "base64"), PATH),
        (valid, sign(valid, canaries.bad_token), PATH),
        (valid, canaries.bad_token, PATH),
        (valid, sign(valid, key), f"{PATH}/brand"),
        (old := planted_event(canaries, event_id=canaries.free_text + " "), sign(old, key), PATH),
        (late := planted_event(canaries, event_type="x.y"), sign(late, key), PATH),
        (cut := valid[:-9], sign(cut, key), PATH),
        (deep := b"[" * 5000 + valid, sign(deep, key), PATH),
    ]:
        headers = {"x-apideck-signature": signature, "x-apideck-event-type": canaries.free_text}
        responses.append(await http.post(path, content=body, headers=headers))
    target.respond = status(500, f"x-why: {canaries.free_text}\r\n", canaries.name.encode())
    headers = {"x-apideck-signature": sign(valid, key)}
    responses.append(await http.post(PATH, content=valid, headers=headers))
    target.respond = status(302, f"location: http://127.0.0.1:9/{canaries.free_text}\r\n")
    responses.append(await http.post(PATH, content=valid, headers=headers))
    return responses


async def test_nothing_of_an_event_is_logged_or_returned(
    issuer: DevelopmentIssuer, unused_tcp_port: int, tmp_path: Path
) -> None:
    """Whatever the outcome, no log line or response has a key, a secret or a field of the event."""
    canaries = Canaries()
    signing = b64encode(canaries.store_password.encode() * 2).decode()
    output = tmp_path / "output"
    async with webhook_target(status(204)) as target:
        environment = {
            **environment_for(issuer.issuer, "http://127.0.0.1:9", unused_tcp_port),
            "APIDECK__API_KEY": canaries.api_key,
            "WEBHOOKS__TARGET_URL": target.url,
            "WEBHOOKS__SIGNING_SECRET": f"whsec_{signing}",
            "LOG__LEVEL": "debug",
        }
        with output.open("w") as file, serving(environment, into=(file, file)):
            async with httpx.AsyncClient(base_url=url(environment, "")) as http:
                responses = await deliver_everything(http, target, canaries, canaries.api_key)
                metrics = (await http.get("/metrics")).text

        # The forwarded requests contain the event, but no secret of this service.
        sent = "".join(f"{one.headers}{one.body.decode()}" for one in target.received)
        assert len(target.received) == 4
        assert canaries.found_in(sent) & {"api_key", "store_password"} == set()

    assert [one.status_code for one in responses[:2]] == [204, 204]
    assert {one.status_code for one in responses[2:]} == {401, 404, 422, 204, 502}
    returned = "".join(f"{one.headers}{one.text}" for one in responses)
    assert canaries.found_in(returned + metrics) == set()
    log = output.read_text()
    assert log.count('"event":"webhook_forwarded"') == 2
    assert canaries.found_in(log) == set()
    assert signing not in log


async def test_the_server_accepts_large_bodies_for_events_only(
    issuer: DevelopmentIssuer, unused_tcp_port: int
) -> None:
    """An event may be 256 KiB long, and every other body 16 KiB."""
    async with webhook_target(status(204)) as target:
        environment = {
            **environment_for(issuer.issuer, "http://127.0.0.1:9", unused_tcp_port),
            "APIDECK__API_KEY": "sk_live_0123456789",
            "WEBHOOKS__TARGET_URL": target.url,
            "WEBHOOKS__SIGNING_SECRET": "whsec_" + b64encode(b"0" * 32).decode(),
        }
        with serving(environment):
            async with httpx.AsyncClient(base_url=url(environment, "")) as http:
                largest = raw(event(occurred_at=now()))
                largest += b" " * (MAX_EVENT_BYTES - len(largest))
                for body, expected in ((largest, 204), (largest + b" ", 413)):
                    headers = {"x-apideck-signature": sign(body, "sk_live_0123456789")}
                    response = await http.post(PATH, content=body, headers=headers)
                    assert response.status_code == expected
                token = {**bearer(issuer.token()), "content-type": "application/json"}
                long = b" " * (MAX_BODY_BYTES + 1)
                session = await http.post("/vault-session", content=long, headers=token)

        assert problem(session) == (413, "body-too-large")
        assert [one.body for one in target.received] == [largest]
