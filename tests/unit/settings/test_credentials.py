from pathlib import Path
from typing import Any

import pytest

from app.settings import IdentitySettings
from app.settings.credentials import AUTHORIZATION, CredentialLocation
from tests.support.settings import ISSUER, issuer_faults

INTROSPECTION = {"client_id": "vault"}


@pytest.mark.parametrize("secret", ["s3cret\n", " s3cret", "s3cret\r\n"])
def test_whitespace_around_a_client_secret_is_removed(secret: str, tmp_path: Path) -> None:
    """Shells and editors add a line feed, which is not part of the secret."""
    file = tmp_path / "secret"
    file.write_text(secret)
    for own in ({"client_secret": secret}, {"client_secret_file": str(file)}):
        issuer = {**ISSUER, "introspection": {**INTROSPECTION, **own}}
        settings = IdentitySettings.model_validate({"issuers": {"main": issuer}})
        introspection = settings.issuers["main"].introspection
        assert introspection is not None
        assert introspection.secret.get_secret_value() == "s3cret"
        assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("secret", ["", " ", "a\nb", "é", "\x7f", "a" * 4097])
def test_a_client_secret_that_cannot_be_sent_is_rejected(secret: str, tmp_path: Path) -> None:
    """A secret has one or more printable ASCII characters (RFC 6749 appendix A.2)."""
    file = tmp_path / "secret"
    file.write_text(secret)
    fault = "must be printable ASCII characters, and not empty"

    assert issuer_faults(introspection={**INTROSPECTION, "client_secret": secret}) == {
        "introspection.client_secret": fault
    }
    assert issuer_faults(introspection={**INTROSPECTION, "client_secret_file": str(file)}) == {
        "introspection.client_secret_file": fault
    }


def test_a_client_id_that_cannot_be_sent_is_rejected() -> None:
    """The same characters are allowed as in a secret (RFC 6749 appendix A.1)."""
    own = {"client_id": "a\n", "client_secret": "s3cret"}

    assert list(issuer_faults(introspection=own)) == ["introspection.client_id"]


def test_a_client_secret_file_must_be_readable(tmp_path: Path) -> None:
    """A missing file, a folder and a binary file are rejected at startup."""
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe")
    for path in (tmp_path / "missing", tmp_path, binary):
        assert issuer_faults(introspection={**INTROSPECTION, "client_secret_file": str(path)}) == {
            "introspection.client_secret_file": "must be a file that can be read"
        }


@pytest.mark.parametrize("both", [False, True])
def test_a_client_has_exactly_one_secret(both: bool, tmp_path: Path) -> None:
    """With two secrets, it would be unclear which one to send."""
    file = tmp_path / "secret"
    file.write_text("s3cret")
    own = {"client_secret": "s3cret", "client_secret_file": str(file)} if both else {}

    assert issuer_faults(introspection={**INTROSPECTION, **own}) == {
        "introspection": "needs exactly one of client_secret and client_secret_file"
    }


@pytest.mark.parametrize("path", ["client_id", "/client_id", "azp", "aud"])
def test_a_claim_of_clients_cannot_identify_users(path: str) -> None:
    """Otherwise, all users of an application would be the same user."""
    own = {**INTROSPECTION, "client_secret": "s3cret", "subject_claim": path}

    assert issuer_faults(introspection=own) == {
        "": "introspection.subject_claim names a claim of clients, not of users"
    }


@pytest.mark.parametrize(
    "requirement",
    [
        {"required_scope": "vault:sessions"},
        {"required_role": "vault"},
        {"required_claims": {"use": "vault"}},
    ],
)
@pytest.mark.parametrize("path", ["client_id", "/azp"])
def test_a_service_identified_by_its_client_needs_another_requirement(
    requirement: dict[str, Any], path: str
) -> None:
    """Otherwise, any token of the client without a user would have the grant of the service."""
    own = {**INTROSPECTION, "client_secret": "s3cret", "subject_claim": path}
    service = {"introspection": own, "kind": "services", "grants": {"robot": ["*"]}}

    [fault] = issuer_faults(**service).values()
    assert "so required_scope, required_role or required_claims is needed, too" in fault
    IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, **service, **requirement}}})


def test_userinfo_needs_the_issuers_own_subject() -> None:
    """The subject of the userinfo response is compared with that of the token."""
    own = {**INTROSPECTION, "client_secret": "s3cret", "subject_claim": "username"}

    assert issuer_faults(introspection=own, userinfo=True) == {
        "": "userinfo needs introspection.subject_claim to be sub"
    }
    IdentitySettings.model_validate({"issuers": {"main": {**ISSUER, "introspection": own}}})


@pytest.mark.parametrize(
    ("location", "parts", "others"),
    [
        (
            CredentialLocation("session", cookies=("app*", "sid")),
            ["app", "app.0", "app.99", "appC1", "app_0", "app-2", "sid"],
            ["app*", "app.", "app.01", "app.100", "app.a", "apps", "app*.0", "sid.0", "sid*", ""],
        ),
        (
            CredentialLocation("session", cookies=("app**",)),
            ["app*", "app*.0"],
            ["app", "app.0", "app**", "app**.0"],
        ),
        (CredentialLocation("cookie", "app*"), ["app*"], ["app", "app.0", "app*.0", "app**"]),
        (CredentialLocation("cookie", "app"), ["app"], ["app*", "app.0", "APP", ""]),
        (CredentialLocation("header", "app"), [], ["app", "app*", "app.0", ""]),
        (AUTHORIZATION, [], ["authorization", ""]),
    ],
)
def test_a_location_matches_only_its_cookies(
    location: CredentialLocation, parts: list[str], others: list[str]
) -> None:
    """An asterisk matches numbered cookies of a session; for the cookie of a token, it is text."""
    assert [name for name in parts if not location.has_cookie(name)] == []
    assert [name for name in others if location.has_cookie(name)] == []


def test_the_overlap_of_two_locations_is_symmetric() -> None:
    """A name with an asterisk also overlaps with numbered cookies."""
    family = CredentialLocation("session", cookies=("app*",))
    number = CredentialLocation("cookie", "app.0")
    other = CredentialLocation("session", cookies=("apps", "app.a"))

    assert family.overlaps(number)
    assert number.overlaps(family)
    assert not family.overlaps(other)
    assert not other.overlaps(family)
    assert AUTHORIZATION.overlaps(AUTHORIZATION)
    assert not AUTHORIZATION.overlaps(CredentialLocation("header", "app.0"))
