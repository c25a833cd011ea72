from typing import Any

import pytest

from app.common.urls import PlainHttpUrl
from app.settings import IdentitySettings, IssuerSettings
from app.settings.issuer_urls import IssuerTemplate
from tests.support.settings import ISSUER, issuer_faults

ADFS = "http://adfs.example.com/adfs/services/trust"
KEYS = "https://id.example.com/keys"
ENTRA = "https://login.microsoftonline.com/{tenantid}/v2.0"
TENANTS: dict[str, Any] = {"issuer": ENTRA, "jwks_uri": KEYS, "tenants": ["t1"]}
INTROSPECTION = {"client_id": "vault", "client_secret": "s3cret"}


def issuer(**more: Any) -> IssuerSettings:
    """Return the settings of an issuer."""
    return IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, **more}}}).issuers[
        "main"
    ]


@pytest.mark.parametrize("iss", [ADFS, "accounts.example.com", "urn:example:issuer", "x"])
def test_an_iss_can_be_any_string_if_other_urls_are_configured(iss: str) -> None:
    """The service only compares it; an example is AD FS."""
    assert issuer(issuer=iss, jwks_uri=KEYS).iss == iss
    endpoint = {**INTROSPECTION, "endpoint": "https://id.example.com/introspect"}
    assert issuer(issuer=iss, introspection=endpoint).iss == iss


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"jwks_uri": KEYS, "userinfo": True},
        {"introspection": INTROSPECTION},
        {"introspection": INTROSPECTION, "jwks_uri": KEYS},
    ],
)
@pytest.mark.parametrize("iss", [ADFS, "accounts.example.com"])
def test_an_iss_that_the_service_requests_must_be_an_https_url(
    iss: str, more: dict[str, Any]
) -> None:
    """Otherwise, anyone who controls the network could replace the keys."""
    faults = issuer_faults(issuer=iss, **more)

    assert list(faults) == ["issuer"]
    assert "with jwks_uri it can be any string" in faults["issuer"]
    assert iss not in faults["issuer"]


@pytest.mark.parametrize("iss", ["", "a b", "a\x7f", "ä", "x" * 2049])
def test_an_iss_must_be_printable(iss: str) -> None:
    """People cannot compare other strings with the `iss` of a token."""
    assert "printable ASCII" in issuer_faults(issuer=iss, jwks_uri=KEYS)["issuer"]


@pytest.mark.parametrize(
    "field", ["issuer", "jwks_uri", "userinfo_endpoint", "introspection.endpoint"]
)
def test_plain_http_must_be_enabled_for_each_url(field: str) -> None:
    """It is disabled by default, and can be enabled only for internal hosts."""

    def settings(url: str) -> dict[str, Any]:
        if field == "introspection.endpoint":
            return {"introspection": {**INTROSPECTION, "endpoint": url}}
        return {field: url}

    internal = "keycloak.auth.svc:8080/realms/x"
    assert field in issuer_faults(**settings(f"http://{internal}"))
    assert field in issuer_faults(**settings("insecure+http://id.example.com/x"))
    accepted = issuer(**settings(f"insecure+http://{internal}"))
    url = accepted.introspection and accepted.introspection.endpoint
    value = url or getattr(accepted, field)
    assert value == f"http://{internal}"
    assert isinstance(value, PlainHttpUrl)


def test_several_issuer_urls_have_their_own_keys() -> None:
    """The key URLs are in the same order as the issuer URLs."""
    two = issuer(issuer=["https://a.example", "https://b.example"])
    assert [(one.iss, one.keys_url) for one in two.by_url()] == [
        ("https://a.example", None),
        ("https://b.example", None),
    ]

    two = issuer(issuer="https://a.example, https://b.example", jwks_uri=[KEYS, f"{KEYS}/b"])
    assert [(one.iss, one.keys_url) for one in two.by_url()] == [
        ("https://a.example", KEYS),
        ("https://b.example", f"{KEYS}/b"),
    ]


TWO = ["https://a.example", "https://b.example"]


@pytest.mark.parametrize(
    ("settings", "field", "fault"),
    [
        ({"issuer": TWO, "jwks_uri": KEYS}, "jwks_uri", "one URL for each URL in issuer"),
        ({"jwks_uri": [KEYS, KEYS]}, "jwks_uri", "one URL for each URL in issuer"),
        ({"issuer": [TWO[0], TWO[0]]}, "issuer", "must not contain a URL twice"),
        ({"issuer": []}, "issuer", "must be one URL, or a list of up to 16"),
        ({"issuer": [*TWO, "http://c.example"]}, "issuer", "must use https"),
        ({"issuer": TWO, "introspection": INTROSPECTION}, "introspection", "is for one issuer URL"),
        (
            {"issuer": TWO, "userinfo": True, "userinfo_endpoint": KEYS},
            "userinfo_endpoint",
            "is for one issuer URL",
        ),
        ({"tenants": ["t1"]}, "tenants", "needs {tenantid} in issuer"),
        ({"any_tenant": True}, "any_tenant", "needs {tenantid} in issuer"),
        ({**TENANTS, "tenants": []}, "tenants", "any_tenant = true accepts every tenant"),
        ({**TENANTS, "any_tenant": True}, "tenants", "must list the tenants"),
        ({**TENANTS, "jwks_uri": None}, "jwks_uri", "is required"),
        ({**TENANTS, "userinfo": True}, "userinfo_endpoint", "is required"),
        ({**TENANTS, "issuer": [ENTRA, TWO[0]], "jwks_uri": [KEYS, KEYS]}, "issuer", "one https"),
        ({**TENANTS, "issuer": "https://{tenantid}.example"}, "issuer", "a segment of the path"),
        ({**TENANTS, "issuer": "https://id.example/x{tenantid}"}, "issuer", "a segment"),
        ({**TENANTS, "issuer": "https://id.example/{tenant}"}, "issuer", "a segment"),
        ({**TENANTS, "issuer": f"{ENTRA}/{{tenantid}}"}, "issuer", "a segment"),
        ({**TENANTS, "issuer": "http://id.example/{tenantid}"}, "issuer", "one https URL"),
        (
            {**TENANTS, "kind": "services", "grants": {"a": ["*"]}},
            "issuer",
            "grants have no tenant",
        ),
        ({**TENANTS, "introspection": INTROSPECTION}, "introspection", "is not possible"),
        ({**TENANTS, "claims": {"consumer_id": "org_id"}}, "claims", "must contain tid"),
    ],
)
def test_inconsistent_issuer_urls_are_rejected(
    settings: dict[str, Any], field: str, fault: str
) -> None:
    """The error names the setting and describes the problem."""
    faults = issuer_faults(**settings)

    assert list(faults) == [field]
    assert fault in faults[field]


def test_the_tenant_is_the_consumer_id_unless_other_claims_are_configured() -> None:
    """Without tenants, the default is `sub`."""
    assert issuer(**TENANTS).consumer_claims == ("tid",)
    assert issuer(**TENANTS, tenant_claim="tenant").consumer_claims == ("tenant",)
    both = {"consumer_id": ["tid", "sub"]}
    assert issuer(**TENANTS, claims=both).consumer_claims == ("tid", "sub")
    assert issuer().consumer_claims == ("sub",)


@pytest.mark.parametrize(
    ("iss", "tenant"),
    [
        ("https://login.microsoftonline.com/t1/v2.0", "t1"),
        ("https://login.microsoftonline.com/T-1._/v2.0", "T-1._"),
        ("https://login.microsoftonline.com/t1/x/v2.0", None),
        ("https://login.microsoftonline.com//v2.0", None),
        ("https://login.microsoftonline.com/v2.0", None),
        ("https://login.microsoftonline.com/t1/v2.0/", None),
        ("https://login.microsoftonline.com/t1/v2.0?x", None),
        ("https://login.microsoftonline.com/t1", None),
        ("https://login.microsoftonline.com.evil.example/t1/v2.0", None),
        ("https://login.microsoftonline.com/t1\n/v2.0", None),
        (f"https://login.microsoftonline.com/{'x' * 129}/v2.0", None),
        (None, None),
        (["https://login.microsoftonline.com/t1/v2.0"], None),
    ],
)
def test_a_tenant_is_one_whole_segment(iss: Any, tenant: str | None) -> None:
    """The rest of the `iss` must be equal to the template."""
    template = IssuerTemplate.of(ENTRA)

    assert template is not None
    assert template.tenant_in(iss) == tenant
