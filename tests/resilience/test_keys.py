"""The API key of a request to Apideck: the key of its Unify app, from the latest file."""

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
from tests.support.fault_proxy import FaultProxy, ProxiedConnection, no_fault
from tests.support.http import bearer, problem
from tests.support.measured import apideck_metrics
from tests.support.service import APP_ID, running, settings_for

EU_KEY, NEXT_EU_KEY = "sk_eu_opens-nothing", "sk_eu-next_opens-nothing"
DEFAULT, EU = (APP_ID, f"Bearer {API_KEY}"), ("app-eu", f"Bearer {EU_KEY}")
BY_CLAIM = {"apideck": {"claim": "region", "allowed": ["default", "eu"]}}


@pytest.fixture
def two_apps() -> Iterator[tuple[ApideckEmulator, str]]:
    """Run an emulator that accepts the keys of two Unify apps; yields it and its URL."""
    emulator = ApideckEmulator([API_KEY, EU_KEY, NEXT_EU_KEY])
    with emulator.serve() as url:
        yield emulator, url


def received(emulator: ApideckEmulator) -> list[tuple[str | None, str | None]]:
    """Return the app ID and the key of each request."""
    return [
        (request.header("x-apideck-app-id"), request.header("authorization"))
        for request in emulator.requests
    ]


async def test_a_claim_selects_the_unify_app_and_its_key(
    issuer: DevelopmentIssuer, two_apps: tuple[ApideckEmulator, str]
) -> None:
    """Each region has its own app ID and key; a value that is not allowed is rejected."""
    emulator, url = two_apps
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
    assert received(emulator) == [EU, DEFAULT]


async def test_an_issuer_selects_the_unify_app_and_its_key(
    issuer: DevelopmentIssuer, two_apps: tuple[ApideckEmulator, str]
) -> None:
    """Requests for callers of each issuer have the app ID and key of that issuer's Unify app."""
    emulator, url = two_apps
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

    assert received(emulator) == [EU, DEFAULT]


async def test_the_key_of_one_unify_app_is_rotated_separately(
    issuer: DevelopmentIssuer,
    two_apps: tuple[ApideckEmulator, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A new key in the file of one Unify app is not used for the other app."""
    emulator, url = two_apps
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

        async def key_for(region: str) -> tuple[str | None, str | None]:
            headers = bearer(issuer.token(region=region))
            assert (await service.post("/vault-session", headers=headers)).status_code == 201
            return received(emulator)[-1]

        assert [await key_for("eu"), await key_for("default")] == [EU, DEFAULT]
        file.write_text(NEXT_EU_KEY)
        async with asyncio.timeout(20):
            while await key_for("eu") == EU:
                pass
        assert await key_for("eu") == ("app-eu", f"Bearer {NEXT_EU_KEY}")
        assert await key_for("default") == DEFAULT


async def test_a_new_key_in_the_file_is_used_and_an_invalid_one_is_not(tmp_path: Path) -> None:
    """The last valid key stays in use, and the log has the reason without the file's content."""
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
    two_apps: tuple[ApideckEmulator, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Requests succeed, metrics and log report the fault, and a new file is used."""
    emulator, url = two_apps
    file = tmp_path / "key"
    file.write_text(EU_KEY)
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    only = {"api_key": None, "api_key_file": file}
    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, url, apideck=only)) as service:

            async def until_failing(failing: int) -> None:
                sample = {'key_file_failing{application="default"}': failing}
                async with asyncio.timeout(20):
                    while await apideck_metrics(service, "key_file_failing") != sample:  # noqa: ASYNC110 - files have no event
                        await asyncio.sleep(0.01)

            async def used_key() -> str | None:
                response = await service.post("/vault-session", headers=bearer(issuer.token()))
                assert response.status_code == 201
                return emulator.requests[-1].header("authorization")

            await until_failing(0)
            file.unlink()
            await until_failing(1)
            assert await used_key() == f"Bearer {EU_KEY}"
            assert (await service.get("/readyz")).status_code == 200
            # In one step, so that the service cannot read an empty file.
            (tmp_path / "next").write_text(NEXT_EU_KEY)
            (tmp_path / "next").replace(file)
            await until_failing(0)
            assert await used_key() == f"Bearer {NEXT_EU_KEY}"

    events = [line for line in logs if line["event"].startswith("api_key_")]
    assert [line["event"] for line in events] == ["api_key_refused", "api_key_changed"]
    assert events[0]["fault"] == "No such file or directory"
    assert events[0]["log_level"] == "error"


async def test_a_key_file_that_blocks_does_not_delay_other_keys(
    issuer: DevelopmentIssuer,
    two_apps: tuple[ApideckEmulator, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The metrics report it, the other app's key is updated, and the service can shut down."""
    _, url = two_apps
    monkeypatch.setattr("app.lifespan._PERIOD_SECONDS", 0.01)
    monkeypatch.setattr("app.common.secret_file._READ_SECONDS", 0.1)
    hung, working = tmp_path / "hung", tmp_path / "working"
    hung.write_text(EU_KEY)
    working.write_text(EU_KEY)
    further = {"eu": {"api_key_file": working, "app_id": "app-eu"}}
    only = {"api_key": None, "api_key_file": hung, "unify_apps": further}

    async def until_failing(service: httpx.AsyncClient, name: str, fault: int) -> None:
        async with asyncio.timeout(20):
            while (await apideck_metrics(service, "key_file_failing"))[name] != fault:  # noqa: ASYNC110 - files have no event
                await asyncio.sleep(0.01)

    def readers() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "secret-file"]

    with capture_logs() as logs:
        async with running(settings_for(issuer.issuer, url, apideck=only)) as service:
            os.mkfifo(tmp_path / "pipe")  # Opening it blocks until another process writes.
            (tmp_path / "pipe").replace(hung)
            await until_failing(service, 'key_file_failing{application="default"}', 1)
            (tmp_path / "next").write_text("two words")
            (tmp_path / "next").replace(working)
            await until_failing(service, 'key_file_failing{application="eu"}', 1)
        async with asyncio.timeout(20):  # The last read of the other file may still be running.
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
    """A request that was in flight when the key changed is rejected, retried, and succeeds."""
    file = tmp_path / "key"
    file.write_text("sk_old_opens-nothing")
    emulator = ApideckEmulator(["sk_new_opens-nothing"])

    async def change_the_key(connection: ProxiedConnection) -> None:
        file.write_text("sk_new_opens-nothing")
        await key.refresh()
        await no_fault(connection)

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

    assert [request.header("authorization") for request in emulator.requests] == [
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
