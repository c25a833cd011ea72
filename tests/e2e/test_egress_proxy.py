"""The whole service behind an egress proxy that requires credentials."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support.cookie_session_app import CookieSessionApp
from tests.support.egress_proxy import PASSWORD, USER, EgressProxy, egress_proxy
from tests.support.http import bearer
from tests.support.process import environment_for, start
from tests.support.service import merged_settings, running, settings_with_application

PAGE = {
    "origin": "https://app.example.com",
    "content-type": "application/json",
    "x-vault-session": "1",
    "cookie": "app_session=adas-session",
}


@pytest.fixture
def egress() -> Iterator[EgressProxy]:
    """Run a proxy."""
    with egress_proxy() as proxy:
        yield proxy


async def test_every_request_goes_through_the_proxy(
    issuer: DevelopmentIssuer,
    apideck: ApideckEmulator,
    apideck_url: str,
    egress: EgressProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """This includes issuers, applications, Apideck and traces; `HTTP_PROXY` is ignored."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with CookieSessionApp().serve() as whoami:
        settings = settings_with_application(issuer.issuer, apideck_url, whoami, PAGE["origin"])
        introspection = {"client_id": "vault-bff", "client_secret": "opens-nothing"}
        more: dict[str, Any] = {
            "egress": {"proxy": egress.url, "no_proxy": []},
            "identity": {
                "issuers": {
                    "main": {"userinfo": True},
                    "opaque": {
                        "issuer": issuer.issuer,
                        "audience": "opaque",
                        "introspection": introspection,
                        "consumer_prefix": "o-",
                    },
                }
            },
            "tracing": {"endpoint": f"{issuer.issuer}/v1/traces", "sample_ratio": 1},
        }
        values = merged_settings(settings.model_dump(exclude_unset=True), more)
        async with running(type(settings).model_validate(values)) as service:
            signed = bearer(issuer.token(omit=["name"]))
            opaque = bearer(issuer.opaque_token(aud="opaque"))
            statuses = [
                (await service.post("/vault-session", headers=headers)).status_code
                for headers in (signed, opaque, PAGE)
            ]

    assert statuses == [201, 201, 201]
    assert len(apideck.minted) == 3
    assert set(egress.targets) == {
        ("GET", f"{issuer.issuer}/.well-known/openid-configuration"),
        ("GET", f"{issuer.issuer}/jwks"),
        ("GET", f"{issuer.issuer}/userinfo"),
        ("POST", f"{issuer.issuer}/introspect"),
        ("GET", whoami),
        ("POST", f"{apideck_url}/vault/sessions"),
        ("POST", f"{issuer.issuer}/v1/traces"),
    }
    assert egress.rejected == 0


@pytest.mark.parametrize(("password", "status"), [(PASSWORD, 502), ("wr0ng-pass-word", 407)])
def test_the_credentials_of_the_proxy_are_never_logged_or_printed(
    issuer: DevelopmentIssuer,
    apideck_url: str,
    egress: EgressProxy,
    unused_tcp_port: int,
    password: str,
    status: int,
) -> None:
    """This holds if the proxy rejects the credentials and if the proxy cannot connect."""
    encoded = quote(password, safe="")
    environment = {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "IDENTITY__ISSUERS__MAIN__ISSUER": "https://id.example",
        "EGRESS__PROXY": f"http://{USER}:{encoded}@{egress.address.removeprefix('http://')}",
        "TRACING__ENDPOINT": "https://collector.example/v1/traces",
        "LOG__LEVEL": "debug",
    }
    secrets = {password, encoded, b64encode(f"{USER}:{password}".encode()).decode()}
    outputs = [
        "".join(start("check", environment, option).communicate(timeout=60))
        for option in ("--live", "--print-config")
    ]
    process = start("serve", environment)
    assert process.stdout is not None
    for line in process.stdout:
        outputs.append(line)
        if "jwks_fetch_failed" in line:
            break
    process.terminate()
    outputs += process.communicate(timeout=30)

    written = "".join(outputs)
    assert f"openid-configuration: the egress proxy responded with {status}" in written
    assert "EGRESS__PROXY=**********" in written
    assert not any(secret in written for secret in secrets)
    assert (egress.rejected > 0) is (password != PASSWORD)
