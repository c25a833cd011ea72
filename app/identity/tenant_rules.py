"""The rules for tokens of an issuer that has tenants, each with an `iss` of its own."""

from collections.abc import Iterator

from ..settings import IssuerSettings
from ..settings.issuer_urls import PLACEHOLDER, IssuerTemplate
from .claim_paths import claim
from .findings import Rule, kind_of, listing, value_of
from .models import Claims


def tenant_rules(issuer: IssuerSettings) -> Iterator[Rule]:
    """Yield the rules for the tenant of a token; none if the issuer has no tenants.

    The attack: anyone can open a tenant at such a provider, and all tenants have the same keys. So
    a valid signature says nothing about the tenant. Only listed tenants are accepted, and the claim
    that identifies the customer must be the tenant that `iss` names.
    """
    template = issuer.template
    if template is None:
        return
    if not issuer.any_tenant:
        yield _allowed(template, frozenset(issuer.tenants))
    yield _equal(template, issuer.tenant_claim)


def _allowed(template: IssuerTemplate, tenants: frozenset[str]) -> Rule:
    def problem(claims: Claims) -> str | None:
        allowed = template.tenant_in(claims.get("iss")) in tenants
        return None if allowed else "the tenant in iss is not in tenants"

    risk = "the people of a further tenant are accepted"
    expected = f"the tenant {listing(sorted(tenants))}"
    return Rule("tenant", problem, expected, value_of("iss"), "TENANTS", risk)


def _equal(template: IssuerTemplate, path: str) -> Rule:
    def problem(claims: Claims) -> str | None:
        tenant = template.tenant_in(claims.get("iss"))
        equal = tenant is not None and claim(claims, path) == tenant
        return None if equal else f"the claim {path} is not the tenant in iss"

    expected = f"the value of {PLACEHOLDER} in iss"
    return Rule(f"tenant claim {path}", problem, expected, kind_of(path), "TENANT_CLAIM")


def is_key_of(issuer: IssuerSettings, key_issuer: str | None, iss: object) -> bool:
    """Return whether a key may verify the tokens of an `iss`.

    The keys of an issuer with tenants can say which `iss` they are for: one, or with the
    placeholder, every one of a template. A key of one tenant must not verify the tokens of another,
    and a key of another template none of this one.

    Args:
        issuer: the settings of the issuer.
        key_issuer: the member `issuer` of the key, if it has one.
        iss: the `iss` of the token.

    Source: https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer
    """
    if issuer.template is None or key_issuer is None:
        return True
    return key_issuer in (issuer.iss, iss)
