"""The command `python -m app check`, which an operator or CI runs before a deployment."""

from pathlib import Path

import pytest

from app.__main__ import CHECK_FAILED, MISCONFIGURED
from app.apideck.account_check import CONSUMER
from app.check.dependencies import check_dependencies
from app.check.results import CheckResult
from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.checking import ELSEWHERE, HOME, Check
from tests.support.cookie_session_app import CookieSessionApp
from tests.support.events_service import SIGNING_SECRET
from tests.support.process import start
from tests.support.service import settings_for, settings_with_application
from tests.support.webhook_target import hang_up, webhook_target


async def results(settings: Settings) -> dict[str, CheckResult]:
    """Return the result for each dependency, by its name."""
    return {one.about: one async for one in check_dependencies(settings)}


def test_a_working_configuration_passes(
    environment: dict[str, str], apideck: ApideckEmulator
) -> None:
    """Each dependency has a line of output, and each redirect target a session of one minute."""
    process = start("check", environment, "--live")
    out, err = process.communicate(timeout=60)

    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [
        "ok   IDENTITY__ISSUERS__MAIN: 3 keys",
        "ok   APIDECK with SESSION__RETURN_TO home: created a session",
        "ok   APIDECK with SESSION__RETURN_TO elsewhere: created a session",
    ]
    assert {minted.consumer_id for minted in apideck.minted} == {CONSUMER}
    assert [minted.session["redirect_uri"] for minted in apideck.minted] == [HOME, ELSEWHERE]
    assert apideck.minted[0].session["settings"] == {"session_length": "1m"}


def test_an_api_key_that_apideck_rejects_is_reported(
    environment: dict[str, str], check: Check
) -> None:
    """The line contains Apideck's error, and not the key."""
    environment["APIDECK__API_KEY"] = "sk_live_not-the-one"

    status, lines = check("--live")

    assert status == CHECK_FAILED
    assert lines[1].startswith("FAIL APIDECK with SESSION__RETURN_TO home: 401 UnauthorizedError:")
    assert "not-the-one" not in str(lines)


def test_an_unregistered_redirect_target_is_reported(
    apideck: ApideckEmulator, check: Check
) -> None:
    """Only the redirect target that Apideck rejects fails."""
    apideck.protect_redirects([HOME])

    status, lines = check("--live")

    assert status == CHECK_FAILED
    assert [line.partition(" ")[0] for line in lines] == ["ok", "ok", "FAIL"]


def test_an_unreachable_issuer_is_reported(
    environment: dict[str, str], unused_tcp_port: int, check: Check
) -> None:
    """The line names the URL of the issuer."""
    environment["IDENTITY__ISSUERS__MAIN__ISSUER"] = f"http://127.0.0.1:{unused_tcp_port}"

    status, lines = check("--live")

    assert status == CHECK_FAILED
    assert lines[0].startswith(f"FAIL IDENTITY__ISSUERS__MAIN: http://127.0.0.1:{unused_tcp_port}/")


@pytest.mark.parametrize(
    ("status", "sessions", "well"),
    [
        (None, {}, True),
        (500, {}, False),
        (None, {"vault-bff-check-made-up-credential": {"sub": 1}}, False),
    ],
)
async def test_a_whoami_endpoint_that_accepts_an_unknown_cookie_fails_the_check(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    status: int | None,
    sessions: dict[str, dict[str, int]],
    well: bool,
) -> None:
    """The check also fails if the endpoint responds with an error."""
    application = CookieSessionApp()
    application.status, application.sessions = status, sessions
    with application.serve() as whoami_url:
        settings = settings_with_application(
            issuer.issuer, apideck_url, whoami_url, "https://app.example.com"
        )
        found = await results(settings)

    assert found["IDENTITY__COOKIE_SESSIONS__RAILS"].well is well


async def test_introspection_is_checked_with_a_made_up_token(
    issuer: DevelopmentIssuer, apideck_url: str, apideck: ApideckEmulator
) -> None:
    """The response shows whether the issuer accepts the service's client credentials."""
    introspection = {"client_id": "vault-bff", "client_secret": "opens-nothing"}
    settings = settings_for(
        issuer.issuer,
        apideck_url,
        identity={"issuers": {"main": {"introspection": introspection}}},
    )
    working = await results(settings)
    issuer.fault = "down"
    failing = await results(settings)

    assert working["IDENTITY__ISSUERS__MAIN__INTROSPECTION"].well
    assert not failing["IDENTITY__ISSUERS__MAIN__INTROSPECTION"].well
    assert len(apideck.minted) == 2


@pytest.mark.parametrize("running", [True, False])
async def test_the_rate_limit_store_is_checked(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    redis_url: str,
    unused_tcp_port: int,
    running: bool,
) -> None:
    """A store that is not running is reported, without its password."""
    store = redis_url if running else f"redis://:hunter2@127.0.0.1:{unused_tcp_port}/0"
    limits = {"store": store, "store_timeout_seconds": 5}

    found = await results(settings_for(issuer.issuer, apideck_url, limits=limits))

    assert found["LIMITS__STORE"].well is running
    assert "hunter2" not in str(found["LIMITS__STORE"])


def test_every_setting_is_shown_with_its_source_and_without_secrets(
    environment: dict[str, str], tmp_path: Path, check: Check
) -> None:
    """The environment overrides the file, the file overrides the defaults; secrets are masked."""
    file = tmp_path / "config.toml"
    file.write_text('[apideck]\napp_id = "from-file"\n[limits]\nper_user = "7/minute"\n')
    environment |= {"CONFIG_FILE": str(file), "LIMITS__STORE": "redis://:hunter2@127.0.0.1:1/0"}

    status, lines = check("--print-config")

    assert status == 0
    assert {
        "APIDECK__API_KEY=**********  # environment",
        "APIDECK__APP_ID=app  # environment",
        "APIDECK__DEADLINE_SECONDS=10.0  # default",
        "IDENTITY__ISSUERS__MAIN__AUDIENCE=vault-bff  # environment",
        "LIMITS__PER_USER=7/minute  # file",
        "LIMITS__STORE=**********  # environment",
    } <= set(lines)
    assert API_KEY not in str(lines)
    assert "hunter2" not in str(lines)


def test_an_unreadable_client_secret_is_a_configuration_error(
    environment: dict[str, str], tmp_path: Path, check: Check
) -> None:
    """The check names the setting, and exits with the status for invalid settings."""
    prefix = "IDENTITY__ISSUERS__MAIN__INTROSPECTION"
    environment[f"{prefix}__CLIENT_ID"] = "vault-bff"
    environment[f"{prefix}__CLIENT_SECRET_FILE"] = str(tmp_path / "missing")

    status, lines = check()

    assert status == MISCONFIGURED
    assert lines == [f"{prefix}__CLIENT_SECRET_FILE: must be a file that can be read"]


async def test_a_webhook_target_gets_a_connection_but_no_event(
    issuer: DevelopmentIssuer, apideck_url: str
) -> None:
    """The check connects to each target, and reports a target that it cannot connect to."""
    async with webhook_target(hang_up) as target:
        webhooks = {
            "target_url": target.url,
            "signing_secret": SIGNING_SECRET,
            "unify_apps": {"eu": {"target_url": target.url.replace("http:", "https:")}},
        }
        apps = {"unify_apps": {"eu": {"api_key": API_KEY, "app_id": "app-eu"}}}
        found = await results(
            settings_for(issuer.issuer, apideck_url, webhooks=webhooks, apideck=apps)
        )

        assert found["WEBHOOKS__TARGET_URL"] == CheckResult(
            "WEBHOOKS__TARGET_URL", well=True, detail="connects"
        )
        assert not found["WEBHOOKS__UNIFY_APPS__EU__TARGET_URL"].well
        assert target.received == []
