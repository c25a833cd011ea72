"""The API key of a request: that of its Unify app, in the newest version of its file."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from app.apideck.api_key import ApiKey
from app.apideck.client import ApideckClient
from app.apideck.sessions import create_session
from app.common.transport import AiohttpTransport
from app.observability.telemetry import Telemetry
from app.settings.apideck import ApideckSettings, UnifyApp
from app.vault import Session
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.fault_proxy import Conversation, FaultProxy, no_fault
from tests.support.http import bearer, problem
from tests.support.measured import counted
from tests.support.service import APP_ID, running, settings_for

EU_KEY, NEXT_EU_KEY = "sk_eu_opens-nothing", "sk_eu-next_opens-nothing"
OURS, EU = (APP_ID, f"Bearer {API_KEY}"), ("app-eu", f"Bearer {EU_KEY}")
BY_CLAIM = {"apideck": {"claim": "region", "allowed": ["default", "eu"]}}


@pytest.fixture
def keyed() -> Iterator[tuple[ApideckEmulator, str]]:
    """Run an emulator that accepts a key of each Unify app; returns it with its URL."""
    emulator = ApideckEmulator([API_KEY, EU_KEY, NEXT_EU_KEY])
    with emulator.serve() as url:
        yield emulator, url


def received(emulator: ApideckEmulator) -> list[tuple[str | None, str | None]]:
    """Return the app ID and the key of each request."""
    return [
        (seen.header("x-apideck-app-id"), seen.header("authorization"))
        for seen in emulator.requests
    ]


async def test_a_claim_selects_the_unify_app_and_its_key(
    issuer: DevelopmentIssuer, keyed: tuple[ApideckEmulator, str]
) -> None:
    """Each region has its own app ID and key; a value that is not allowed is rejected."""
    emulator, url = keyed
    settings = settings_for(
        issuer.issuer,
        url,
        apideck={"unify_apps": {"eu": {"api_key": EU_KEY, "app_id": "app-eu"}}},
        identity={"issuers": {"main": BY_CLAIM}},
    )
    async with running(settings) as service:
        responses = [
            await service.post("/vault-session", headers=bearer(issuer.token(region=region)))
            for region in ("eu", "default", "us")
        ]

    assert [response.status_code for response in responses] == [201, 201, 403]
    assert problem(responses[2]) == (403, "missing-claim")
    assert received(emulator) == [EU, OURS]


async def test_an_issuer_selects_the_unify_app_and_its_key(
    issuer: DevelopmentIssuer, keyed: tuple[ApideckEmulator, str]
) -> None:
    """Callers of one issuer get another app ID and key than those of the other."""
    emulator, url = keyed
    europe = {
        "issuer": issuer.issuer,
        "audience": "europe",
        "consumer_prefix": "eu-",
        "apideck": {"unify_app": "eu"},
    }
    settings = settings_for(
        issuer.issuer,
        url,
        apideck={"unify_apps": {"eu": {"api_key": EU_KEY, "app_id": "app-eu"}}},
        identity={"issuers": {"main": {"consumer_prefix": "main-"}, "europe": europe}},
    )
    async with running(settings) as service:
        for audience in ("europe", "vault-bff"):
            token = issuer.token(aud=audience)
            response = await service.post("/vault-session", headers=bearer(token))
            assert response.status_code == 201

    assert received(emulator) == [EU, OURS]


async def test_the_key_of_one_unify_app_is_rotated_separately(
    issuer: DevelopmentIssuer,
    keyed: tuple[ApideckEmulator, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new key in its file is used for this Unify app only."""
    emulator, url = keyed
    file = tmp_path / "key"
    file.write_text(EU_KEY)
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    settings = settings_for(
        issuer.issuer,
        url,
        apideck={"unify_apps": {"eu": {"api_key_file": file, "app_id": "app-eu"}}},
        identity={"issuers": {"main": BY_CLAIM}},
        limits={"per_user": "unlimited"},
    )
    async with running(settings) as service:

        async def ask(region: str) -> tuple[str | None, str | None]:
            headers = bearer(issuer.token(region=region))
            assert (await service.post("/vault-session", headers=headers)).status_code == 201
            return received(emulator)[-1]

        assert [await ask("eu"), await ask("default")] == [EU, OURS]
        file.write_text(NEXT_EU_KEY)
        async with asyncio.timeout(20):
            while await ask("eu") == EU:
                pass
        assert await ask("eu") == ("app-eu", f"Bearer {NEXT_EU_KEY}")
        assert await ask("default") == OURS


async def test_a_new_key_in_the_file_is_used_and_an_invalid_one_is_not(tmp_path: Path) -> None:
    """The last valid key stays in use, and the log says why, without the content."""
    file = tmp_path / "key"
    secrets: list[str] = []
    file.write_text("sk_first_12345\n")
    key = ApiKey("default", _unify_app(file), secrets.append)

    file.write_text("two words")
    with capture_logs() as logs:
        await key.refresh()
        await key.refresh()
    assert key.current.get_secret_value() == "sk_first_12345"
    assert key.fault is not None
    assert [(line["event"], "words" in str(line)) for line in logs] == [("api_key_refused", False)]

    file.write_text("sk_second_12345")
    await key.refresh()
    assert key.current.get_secret_value() == "sk_second_12345"
    assert key.fault is None
    assert secrets == ["sk_first_12345", "sk_second_12345"]


async def test_a_key_stays_in_use_while_its_file_is_missing(
    issuer: DevelopmentIssuer,
    keyed: tuple[ApideckEmulator, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests succeed, metrics and log show it, and a new file is used immediately."""
    emulator, url = keyed
    file = tmp_path / "key"
    file.write_text(EU_KEY)
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    only = {"api_key": None, "api_key_file": file}
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, url, apideck=only)) as service:

            async def becomes(failing: int) -> None:
                sample = {'key_file_failing{application="default"}': failing}
                async with asyncio.timeout(20):
                    while await counted(service, "key_file_failing") != sample:  # noqa: ASYNC110 - files have no event
                        await asyncio.sleep(0.01)

            async def ask() -> str | None:
                response = await service.post("/vault-session", headers=bearer(issuer.token()))
                assert response.status_code == 201
                return emulator.requests[-1].header("authorization")

            await becomes(0)
            file.unlink()
            await becomes(1)
            assert await ask() == f"Bearer {EU_KEY}"
            assert (await service.get("/readyz")).status_code == 200
            # In one step, so that the service cannot read an empty file.
            (tmp_path / "next").write_text(NEXT_EU_KEY)
            (tmp_path / "next").replace(file)
            await becomes(0)
            assert await ask() == f"Bearer {NEXT_EU_KEY}"

    events = [line for line in logs if line["event"].startswith("api_key_")]
    assert [line["event"] for line in events] == ["api_key_refused", "api_key_changed"]
    assert events[0]["fault"] == "No such file or directory"
    assert events[0]["log_level"] == "error"


async def test_a_file_that_does_not_respond_does_not_delay_other_keys(
    issuer: DevelopmentIssuer,
    keyed: tuple[ApideckEmulator, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Metrics show it, the key of the other Unify app is updated, and the service can end."""
    _, url = keyed
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    monkeypatch.setattr("app.common.secret_file._READ_SECONDS", 0.1)
    hung, working = tmp_path / "hung", tmp_path / "working"
    hung.write_text(EU_KEY)
    working.write_text(EU_KEY)
    further = {"eu": {"api_key_file": working, "app_id": "app-eu"}}
    only = {"api_key": None, "api_key_file": hung, "unify_apps": further}

    async def becomes(service: httpx.AsyncClient, name: str, fault: int) -> None:
        async with asyncio.timeout(20):
            while (await counted(service, "key_file_failing"))[name] != fault:  # noqa: ASYNC110 - files have no event
                await asyncio.sleep(0.01)

    def readers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "secret-file"]

    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, url, apideck=only)) as service:
            os.mkfifo(tmp_path / "pipe")  # Opening it blocks until another process writes.
            (tmp_path / "pipe").replace(hung)
            await becomes(service, 'key_file_failing{application="default"}', 1)
            (tmp_path / "next").write_text("two words")
            (tmp_path / "next").replace(working)
            await becomes(service, 'key_file_failing{application="eu"}', 1)
        async with asyncio.timeout(20):  # The last read of the other file can still be ending.
            while len(readers()) > 1:  # noqa: ASYNC110 - threads have no event
                await asyncio.sleep(0.01)
        daemons = [thread.daemon for thread in readers()]
    with hung.open("w") as writer:
        writer.write(EU_KEY)

    faults = [line["fault"] for line in logs if line["event"] == "api_key_refused"]
    assert faults[0] == "does not respond"
    assert len(faults) == 2
    assert daemons == [True]


async def test_a_request_with_the_old_key_is_retried_with_the_new_one(tmp_path: Path) -> None:
    """A request that was in flight when the key changed, and was rejected, still succeeds."""
    file = tmp_path / "key"
    file.write_text("sk_old_opens-nothing")
    emulator = ApideckEmulator(["sk_new_opens-nothing"])

    async def change_the_key(it: Conversation) -> None:
        file.write_text("sk_new_opens-nothing")
        await key.refresh()
        await no_fault(it)

    with emulator.serve() as apideck_url:
        async with FaultProxy(apideck_url).serve() as proxy, AiohttpTransport() as transport:
            proxy.next_faults = [change_the_key]
            settings = ApideckSettings(
                api_key_file=file, app_id="app", base_url=proxy.url, vault_origins=(apideck_url,)
            )
            key = ApiKey("default", settings.all_unify_apps()["default"], lambda _: None)
            client = ApideckClient("default", settings, key, transport, Telemetry())
            with capture_logs() as logs:
                await create_session(client, "acme", Session())

    # Only the old key was rejected, so the account is not reported as misconfigured.
    assert [line["event"] for line in logs] == ["api_key_changed"]

    assert [seen.header("authorization") for seen in emulator.requests] == [
        "Bearer sk_old_opens-nothing",
        "Bearer sk_new_opens-nothing",
    ]
    assert len(emulator.minted) == 1


def _unify_app(file: Path) -> UnifyApp:
    return UnifyApp(
        api_key_file=file,
        app_id="app",
        base_url="https://unify.apideck.com",
        vault_origins=("https://vault.apideck.com",),
    )
