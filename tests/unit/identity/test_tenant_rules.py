from typing import Any

import pytest

from app.errors import UnauthenticatedError
from app.identity.tenant_rules import is_key_of
from app.identity.token_rules import TokenRules
from app.settings import IdentitySettings, IssuerSettings
from tests.support.in_process import Clock

BASE = "https://login.microsoftonline.com"
CLAIMS: dict[str, Any] = {
    "iss": f"{BASE}/t1/v2.0",
    "tid": "t1",
    "aud": "vault-bff",
    "sub": "ada",
    "exp": 2000,
}


def issuer(**more: Any) -> IssuerSettings:
    """Return an issuer with tenants."""
    settings = {
        "issuer": f"{BASE}/{{tenantid}}/v2.0",
        "audience": "vault-bff",
        "jwks_uri": f"{BASE}/keys",
        "tenants": ["t1", "t2"],
        **more,
    }
    return IdentitySettings.model_validate({"issuers": {"main": settings}}).issuers["main"]


def rules(**more: Any) -> TokenRules:
    """Return the rules of an issuer with tenants."""
    return TokenRules(issuer(**more), Clock())


def test_a_token_of_a_listed_tenant_is_accepted() -> None:
    """The tenant in `iss` is the one in the claim."""
    rules().check(CLAIMS)
    rules().check({**CLAIMS, "iss": f"{BASE}/t2/v2.0", "tid": "t2"})
    rules(tenants=[], any_tenant=True).check({**CLAIMS, "iss": f"{BASE}/t9/v2.0", "tid": "t9"})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"iss": f"{BASE}/t3/v2.0", "tid": "t3"}, "the tenant in iss is not in tenants"),
        ({"iss": f"{BASE}/T1/v2.0", "tid": "T1"}, "the tenant in iss is not in tenants"),
        ({"tid": "t2"}, "the claim tid is not the tenant in iss"),
        ({"tid": None}, "the claim tid is not the tenant in iss"),
        ({"tid": ["t1"]}, "the claim tid is not the tenant in iss"),
        ({"iss": f"{BASE}/t1/v1.0"}, "iss is another issuer"),
        ({"iss": f"{BASE}.evil.example/t1/v2.0"}, "iss is another issuer"),
        ({"iss": f"{BASE}/{{tenantid}}/v2.0", "tid": "{tenantid}"}, "iss is another issuer"),
    ],
)
def test_another_tenant_is_rejected(changes: dict[str, Any], problem: str) -> None:
    """The reason names the rule that failed."""
    with pytest.raises(UnauthenticatedError) as error:
        rules().check({**CLAIMS, **changes})
    assert error.value.reason is not None
    assert error.value.reason.startswith(problem)


def test_any_tenant_does_not_mean_any_claim() -> None:
    """The tenant in the claim must still be the one in `iss`."""
    with pytest.raises(UnauthenticatedError):
        rules(tenants=[], any_tenant=True).check({**CLAIMS, "tid": "t2"})


def test_a_finding_contains_the_accepted_tenants() -> None:
    """It warns that the people of a further tenant would be accepted."""
    wrong = {**CLAIMS, "iss": f"{BASE}/t3/v2.0", "tid": "t3"}

    [finding] = [one for one in rules().findings(wrong) if not one.passed]

    assert str(finding) == (
        "the tenant in iss is not in tenants: "
        f"received '{BASE}/t3/v2.0', expected the tenant 't1' or 't2'"
    )
    assert (finding.setting, finding.risk) == (
        "TENANTS",
        "the people of a further tenant are accepted",
    )


@pytest.mark.parametrize(
    ("key_issuer", "fits"),
    [
        (None, True),
        (f"{BASE}/{{tenantid}}/v2.0", True),
        (f"{BASE}/t1/v2.0", True),
        (f"{BASE}/t2/v2.0", False),
        ("https://other.example.com/{tenantid}/v2.0", False),
        (f"{BASE}/{{tenantid}}/v1.0", False),
        ("{tenantid}", False),
    ],
)
def test_a_key_of_one_tenant_verifies_no_tokens_of_another(
    key_issuer: str | None, *, fits: bool
) -> None:
    """Microsoft publishes the keys of all tenants together, and names the issuer of each key."""
    assert is_key_of(issuer(), key_issuer, CLAIMS["iss"]) is fits
    alone = IssuerSettings(issuer=f"{BASE}/t1/v2.0", audience="x")
    assert is_key_of(alone, key_issuer, CLAIMS["iss"]) is True
