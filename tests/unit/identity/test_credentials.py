import pytest

from app.errors import AmbiguousCredentialsError, UnauthenticatedError
from app.identity import credentials
from app.identity.credentials import MAX_CREDENTIAL_LENGTH, Credential, CredentialFinder
from app.identity.unverified_token import UnverifiedToken
from app.settings.credentials import AUTHORIZATION, CredentialLocation
from tests.support.in_process import messages

HEADER = CredentialLocation("header", "x-assertion")
COOKIE = CredentialLocation("cookie", "session")
EVERY_OCTET = "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"

Header = tuple[bytes, bytes]


def found(*headers: Header) -> Credential:
    """Return the credential among these headers."""
    return CredentialFinder([HEADER, COOKIE]).find(headers)


@pytest.mark.parametrize(
    ("header", "location", "value"),
    [
        ((b"authorization", b"Bearer abc.DEF-1_~+/9=="), AUTHORIZATION, "abc.DEF-1_~+/9=="),
        ((b"authorization", b"bEARER   abc"), AUTHORIZATION, "abc"),
        ((b"authorization", b" \tBearer abc "), AUTHORIZATION, "abc"),
        ((b"x-assertion", b"abc.DEF-1_~+/9=="), HEADER, "abc.DEF-1_~+/9=="),
        ((b"x-assertion", b" abc\t"), HEADER, "abc"),
        ((b"cookie", b"session=abc"), COOKIE, "abc"),
        ((b"cookie", b"a=1;session=abc ; b=2"), COOKIE, "abc"),
        ((b"cookie", b"a=1;  session=abc"), COOKIE, "abc"),
        ((b"cookie", b"session=a=b=="), COOKIE, "a=b=="),
        ((b"cookie", b"session=" + EVERY_OCTET.encode()), COOKIE, EVERY_OCTET),
    ],
)
def test_a_credential_is_found_at_its_location(
    header: Header, location: CredentialLocation, value: str
) -> None:
    """Whitespace around it is removed."""
    assert found((b"host", b"x.example"), header) == Credential(location, value)


@pytest.mark.parametrize(
    "header",
    [
        (b"x-other", b"abc"),
        (b"x-other", b"session=abc"),
        (b"cookie", b"Session=abc; xsession=abc; sessio=abc"),
        (b"cookie", b""),
        (b"proxy-authorization", b"Bearer abc"),
    ],
)
def test_other_headers_and_cookies_are_not_credentials(header: Header) -> None:
    """Without a credential the caller is not signed in."""
    with pytest.raises(UnauthenticatedError) as error:
        found(header)

    assert messages(error.value) == ("You are not signed in.", "no credential")
    assert error.value.presented is False


def test_without_configured_locations_only_authorization_counts() -> None:
    """No cookie and no other header is a credential then."""
    finder = CredentialFinder([AUTHORIZATION])

    with pytest.raises(UnauthenticatedError, match="not signed in"):
        finder.find([(b"cookie", b"session=abc"), (b"x-assertion", b"abc"), (b"", b"abc")])
    assert finder.find([(b"authorization", b"Bearer abc")]).value == "abc"


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer abc"), (b"authorization", b"Bearer abc")],
        [(b"authorization", b"Bearer abc"), (b"cookie", b"session=abc")],
        [(b"x-assertion", b"abc"), (b"x-assertion", b"def")],
        [(b"cookie", b"session=abc; session=abc")],
        [(b"cookie", b"session=abc"), (b"cookie", b"session=def")],
        [(b"authorization", b"nonsense"), (b"x-assertion", b"abc")],
    ],
)
def test_a_request_with_two_credentials_is_rejected(headers: list[Header]) -> None:
    """Equal credentials are rejected, too, and so is a second one that is malformed."""
    with pytest.raises(AmbiguousCredentialsError) as error:
        found(*headers)

    assert messages(error.value) == ("The request contains more than one credential.", None)


MALFORMED = "The credential is malformed."


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("authorization", b"", "the Authorization header is not Bearer"),
        ("authorization", b"abc", "the Authorization header is not Bearer"),
        ("authorization", b"Bearer", "the Authorization header is not Bearer"),
        ("authorization", b"Bearerabc", "the Authorization header is not Bearer"),
        ("authorization", b"Basic abc", "the Authorization header is not Bearer"),
        ("authorization", b"Bearer a b", "the Authorization header is not Bearer"),
        ("authorization", b"Bearer\tabc", "the Authorization header is not Bearer"),
        ("authorization", b"Bearer a=b", "the Authorization header is not Bearer"),
        ("authorization", b"Bearer \xff", "the Authorization header is not Bearer"),
        ("x-assertion", b"", "malformed value in header x-assertion"),
        ("x-assertion", b"a:b", "malformed value in header x-assertion"),
        ("x-assertion", b"a\xff", "malformed value in header x-assertion"),
        ("cookie", b"session", "malformed value in cookie session"),
        ("cookie", b"session=", "malformed value in cookie session"),
        ("cookie", b'session="abc"', "malformed value in cookie session"),
        ("cookie", b"session=a b", "malformed value in cookie session"),
        ("cookie", b"session=a,b", "malformed value in cookie session"),
        ("cookie", b"session=a\\b", "malformed value in cookie session"),
        ("cookie", b"session=\xff", "malformed value in cookie session"),
    ],
)
def test_a_malformed_credential_is_rejected(name: str, value: bytes, reason: str) -> None:
    """The operator's message names the location."""
    with pytest.raises(UnauthenticatedError) as error:
        found((name.encode(), value))

    assert messages(error.value) == (MALFORMED, reason)
    assert error.value.presented is True


@pytest.mark.parametrize(
    ("name", "before"),
    [(b"authorization", b"Bearer "), (b"x-assertion", b""), (b"cookie", b"session=")],
)
def test_a_credential_has_a_maximum_length(name: bytes, before: bytes) -> None:
    """A longer one is rejected before it is parsed."""
    length = MAX_CREDENTIAL_LENGTH - (len(before) if name == b"authorization" else 0)
    assert found((name, b" " + before + b"a" * length + b" ")).value == "a" * length

    with pytest.raises(UnauthenticatedError) as error:
        found((name, before + b"a" * (length + 1)))
    assert messages(error.value) == ("The credential is too long.", "credential too long")


def test_the_repr_of_a_credential_contains_no_value() -> None:
    """A log line with a credential contains its location only."""
    shown = repr(found((b"cookie", b"session=s3cret")))

    assert "session" in shown
    assert "s3cret" not in shown


def test_a_credential_is_parsed_as_a_token_at_first_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session cookie may look like a token, so a credential is parsed only for token sources."""
    parsed: list[str] = []

    def parse(text: str) -> UnverifiedToken | None:
        parsed.append(text)
        return None

    monkeypatch.setattr(credentials, "parse", parse)
    credential = found((b"authorization", b"Bearer abc"))
    assert parsed == []

    assert [credential.signed_token(), credential.signed_token()] == [None, None]
    assert parsed == ["abc"]
