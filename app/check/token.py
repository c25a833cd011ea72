"""Checks one token against every configured issuer, and says which setting would accept it.

It prints the names of claims, and the values of `iss`, `aud`, `typ`, `alg`, `exp` and `scope` only.
The token is sent to no issuer but the one that it names, or that the operator names.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, get_args

import httpx

from ..common.http_limits import MAX_HEAD_BYTES
from ..common.transport import AiohttpTransport
from ..errors import IdentityError, MissingClaimError
from ..identity.claims import user_of
from ..identity.fetch import Fetcher
from ..identity.findings import Finding, present, shown
from ..identity.header_rules import header_rules
from ..identity.issuer_source import IssuerSource
from ..identity.jwt import signature_algorithms, verify_signature
from ..identity.models import Claims
from ..identity.sources import build_sources
from ..identity.sources.introspection import IntrospectionSource
from ..identity.sources.signed_token import SignedTokenSource
from ..identity.unverified_token import UnverifiedToken, parse
from ..observability.telemetry import Telemetry
from ..settings import ClaimPaths, IssuerSettings, Settings
from ..settings.claims import UnifyAppChoice
from ..settings.issuers import Algorithm
from .results import CheckResult

_CONSUMER_RISK = "anyone who can choose the value of the claim can open any customer's connections"
_AUDIENCE_RISK = "tokens for other services of the issuer are accepted"
_RECOGNIZED_BY = frozenset({"iss", "audience"})


async def check_token(
    settings: Settings, text: str, issuer: str | None = None
) -> AsyncIterator[CheckResult]:
    """Check a token against every issuer, and yield a result for each rule.

    Args:
        settings: the settings of the service.
        text: the token.
        issuer: the name of the issuer that may receive the token, whatever the token says.
    """
    if len(text) > MAX_HEAD_BYTES:
        detail = f"too large: received {len(text)} bytes, expected at most {MAX_HEAD_BYTES}"
        yield CheckResult("token", well=False, detail=detail)
        return
    try:
        token = parse(text)
    except IdentityError as error:
        yield CheckResult("token", well=False, detail=error.reason or error.detail)
        return
    for result in _described(token, len(text)):
        yield result
    transport = AiohttpTransport(proxy=settings.egress.egress_proxy())
    async with httpx.AsyncClient(transport=transport, trust_env=False) as http:
        timeout = settings.identity.fetch_timeout_seconds
        fetcher = Fetcher(http, timeout, Telemetry().metrics)
        accepting = []
        for source in build_sources(settings.identity, fetcher):
            if isinstance(source, IssuerSource):
                well = True
                async for result in IssuerCheck(source, text, token, issuer).results():
                    well &= result.well is not False
                    yield result
                accepting += [source.name] if well else []
    detail = f"accepted by {', '.join(accepting)}" if accepting else "no issuer accepts it"
    yield CheckResult("token", well=bool(accepting), detail=detail)


class IssuerCheck:
    """The checks of a token against one issuer."""

    def __init__(
        self, source: IssuerSource, text: str, token: UnverifiedToken | None, named: str | None
    ) -> None:
        """Prepare the checks.

        Args:
            source: the issuer.
            text: the token.
            token: its parts; None if it is not a signed token.
            named: the name of the issuer that may receive the token; by default it is the one whose
                `iss` is in the token.
        """
        self._source = source
        self._issuer = source.issuer
        self._setting = f"IDENTITY__ISSUERS__{source.name.upper()}"
        self._text = text
        self._token = token
        matches = token is not None and source.rules.is_of_issuer(token.claims)
        self._may_receive = matches if named is None else source.name == named

    async def results(self) -> AsyncIterator[CheckResult]:
        """Yield the result of every check: first the local ones, then those over the network."""
        if isinstance(self._source, IntrospectionSource):
            async for result in self._introspection(self._source):
                yield result
        elif self._token is None:
            yield self._fail(
                "form", "not a signed token (JWT); only an issuer with introspection has other ones"
            )
        else:
            for finding in (
                *(rule.examine(self._token.header) for rule in header_rules(self._issuer)),
                *self._source.rules.findings(self._token.claims),
                *self._mapping(self._token.claims),
            ):
                yield self._result(finding)
            if self._may_receive and isinstance(self._source, SignedTokenSource):
                yield await self._signature(self._source, self._token)
                if self._source.userinfo is not None:
                    yield await self._userinfo(self._token.claims)

    async def _introspection(self, source: IntrospectionSource) -> AsyncIterator[CheckResult]:
        if self._token is not None:
            for finding in source.rules.findings(self._token.claims):
                if finding.rule in _RECOGNIZED_BY:
                    yield self._result(finding)
        if not self._may_receive:
            detail = "not sent, because the token does not name this issuer; to send it all the "
            yield self._note("introspection", f"{detail}same, use --issuer {source.name}")
            return
        try:
            claims = await source.introspect(self._text)
        except IdentityError as error:
            yield self._fail("introspection", error.reason or error.detail)
            return
        yield CheckResult(f"{self._setting} introspection", well=True, detail=present(claims))
        lenient = "INTROSPECTION__ALLOW_MISSING_AUDIENCE"
        for finding in (*source.rules.findings(claims), *self._mapping(claims)):
            missing = finding.rule == "audience" and self._issuer.audience_claim not in claims
            yield self._result(
                replace(finding, setting=lenient, risk=_AUDIENCE_RISK) if missing else finding
            )
        if source.userinfo is not None:
            yield await self._userinfo(claims)

    def _mapping(self, claims: Claims) -> Iterator[Finding]:
        """Yield the results for the consumer and the Unify app that claims are mapped to."""
        claims = {name: value for name, value in claims.items() if name != "act"}
        subject = claims.get("sub")
        if not self._issuer.identifies_users:
            granted = isinstance(subject, str) and subject in self._issuer.grants
            problem = None if granted else "no grant is listed for the sub of this token"
            risk = "the service may start sessions for the consumers in the grant"
            yield Finding("grant", problem, setting="GRANTS", risk=risk)
        else:
            one_app = self._issuer.model_copy(update={"apideck": UnifyAppChoice()})
            yield self._mapped("consumer", one_app, claims, "CLAIMS__CONSUMER_ID", _CONSUMER_RISK)
        if self._issuer.apideck.claim is not None:
            one_claim = self._issuer.model_copy(update={"claims": ClaimPaths()})
            usable = {**claims, "sub": "any"}
            yield self._mapped("Unify app", one_claim, usable, "APIDECK__ALLOWED", None)

    def _mapped(
        self, rule: str, issuer: IssuerSettings, claims: Claims, setting: str, risk: str | None
    ) -> Finding:
        try:
            reserved = self._source.reserved_prefixes
            user_of(self._source.name, issuer, {"sub": None, **claims}, {}, reserved)
        except MissingClaimError as error:
            return Finding(rule, error.reason or error.detail, setting=setting, risk=risk)
        return Finding(rule, None)

    async def _signature(self, source: SignedTokenSource, token: UnverifiedToken) -> CheckResult:
        algorithm = str(token.header.get("alg"))
        if algorithm not in get_args(Algorithm):
            return self._fail("signature", "not checked: no setting allows this algorithm")
        kid = token.header.get("kid")
        if not isinstance(kid, str | None):
            return self._fail("signature", "not checked: the kid is not a string")
        try:
            key = await source.jwks.key(kid, algorithm)
            verified_by = signature_algorithms([algorithm])[algorithm]
            verify_signature(token, key, self._issuer, verified_by)
        except IdentityError as error:
            return self._fail("signature", error.reason or error.detail)
        return CheckResult(f"{self._setting} signature", well=True, detail="verified")

    async def _userinfo(self, claims: Claims) -> CheckResult:
        assert self._source.userinfo is not None  # noqa: S101 - types
        try:
            about = await self._source.userinfo.request(self._text, str(claims.get("sub")))
        except IdentityError as error:
            return self._fail("userinfo", error.reason or error.detail)
        return CheckResult(f"{self._setting} userinfo", well=True, detail=present(about))

    def _result(self, finding: Finding) -> CheckResult:
        detail = str(finding)
        if not finding.passed and finding.setting is not None:
            detail += f"; {self._setting}__{finding.setting} changes this"
            if finding.risk is not None:
                detail += f", which weakens security: {finding.risk}"
        return CheckResult(f"{self._setting} {finding.rule}", finding.passed, detail)

    def _fail(self, rule: str, detail: str) -> CheckResult:
        return CheckResult(f"{self._setting} {rule}", well=False, detail=detail)

    def _note(self, rule: str, detail: str) -> CheckResult:
        return CheckResult(f"{self._setting} {rule}", well=None, detail=detail)


def _described(token: UnverifiedToken | None, size: int) -> Iterator[CheckResult]:
    """Yield what a token is: names of members, and the values that may be shown."""
    if token is None:
        detail = f"{size} bytes, not a signed token (JWT)"
        yield CheckResult("token", well=None, detail=detail)
        return
    yield CheckResult("token", well=None, detail=f"a signed token (JWT) of {size} bytes")
    yield CheckResult("header", well=None, detail=_members(token.header, ("alg", "typ")))
    claims = ("iss", "aud", "typ", "exp", "scope", "scp")
    yield CheckResult("claims", well=None, detail=_members(token.claims, claims))


def _members(part: dict[str, Any], names: Iterable[str]) -> str:
    values = [f"{name} {_value(name, part[name])}" for name in names if name in part]
    return "; ".join([present(part), *values])


def _value(name: str, value: Any) -> str:
    text = shown(value)
    if name != "exp" or isinstance(value, bool) or not isinstance(value, int | float):
        return text
    try:
        return f"{text} ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
    except (OverflowError, ValueError, OSError):
        return text
