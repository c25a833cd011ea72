import pytest

from app.common.http_limits import MAX_HEAD_BYTES
from app.errors import AmbiguousCredentialsError, CredentialTooLargeError, UnauthenticatedError
from app.identity import credentials
from app.identity.credentials import Credential, CredentialFinder
from app.identity.unverified_token import UnverifiedToken
from app.settings.credentials import AUTHORIZATION, CredentialLocation
from tests.support.in_process import messages

HEADER = CredentialLocation("header", "x-assertion")
COOKIE = CredentialLocation("cookie", "session")
SESSION = CredentialLocation("session", cookies=("app*", "user"))
EVERY_OCTET = "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"

Header = tuple[bytes, bytes]


def found(*headers: Header) -> Credential:
    """Return the credential among these headers."""
    return CredentialFinder([HEADER, COOKIE, SESSION]).find(headers)


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
        ((b"cookie", b'session="abc="'), COOKIE, "abc="),
        ((b"cookie", b'a=1; app="2|1:0|good"; b=2'), SESSION, 'app="2|1:0|good"'),
        ((b"cookie", b'app={"a": [1, "\\073"]}'), SESSION, 'app={"a": [1, "\\073"]}'),
        ((b"cookie", b"app=a=b==; user=="), SESSION, "app=a=b==; user=="),
        ((b"cookie", b"user=u; app=chunks-2; appC1=a; appC2=b"), SESSION, None),
        ((b"cookie", b"app.0=a; app.1=; app_2=c; app-10=d"), SESSION, None),
        ((b"cookie", b"app.0=a; other=1; app.1=b"), SESSION, "app.0=a; app.1=b"),
    ],
)
def test_a_credential_is_found_at_its_location(
    header: Header, location: CredentialLocation, value: str | None
) -> None:
    """Whitespace around it is removed; the cookies of a session are not changed."""
    value = header[1].decode() if value is None else value

    assert found((b"host", b"x.example"), header) == Credential(location, value)


def test_the_cookies_of_a_session_may_be_in_several_headers() -> None:
    """HTTP/2 allows a client to split the header (RFC 9113 section 8.2.3)."""
    headers = [(b"cookie", b"app.0=a"), (b"x", b"y"), (b"cookie", b"b=1; app.1=b")]

    assert found(*headers) == Credential(SESSION, "app.0=a; app.1=b")


@pytest.mark.parametrize(
    "header",
    [
        (b"x-other", b"abc"),
        (b"x-other", b"session=abc"),
        (b"cookie", b"Session=abc; xsession=abc; sessio=abc"),
        (b"cookie", b""),
        (b"cookie", b"=abc"),
        (
            b"cookie",
            b"apps=a; app.=a; app.a=a; app.00=a; app.100=a; app1=a; app*=a; .0=a; user.0=a",
        ),
        (b"proxy-authorization", b"Bearer abc"),
    ],
)
def test_other_headers_and_cookies_are_not_credentials(header: Header) -> None:
    """Without a credential, the caller is not signed in."""
    with pytest.raises(UnauthenticatedError) as error:
        found(header)

    assert messages(error.value) == ("You are not signed in.", "no credential")
    assert error.value.presented is False


def test_without_configured_locations_only_authorization_is_read() -> None:
    """Cookies and other headers are then not read as credentials."""
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
        [(b"cookie", b"app.0=a; app.1=b; app.0=a")],
        [(b"cookie", b"app=a"), (b"cookie", b"app=b")],
        [(b"cookie", b"app.0=a; session=abc")],
        [(b"cookie", b"app.0=a; app.1=b"), (b"authorization", b"Bearer abc")],
    ],
)
def test_a_request_with_two_credentials_is_rejected(headers: list[Header]) -> None:
    """This includes two equal credentials, and a second credential that is malformed."""
    with pytest.raises(AmbiguousCredentialsError) as error:
        found(*headers)

    assert messages(error.value) == (
        "More than one sign-in was sent. Please sign out, then sign in again.",
        None,
    )


MALFORMED = "Your sign-in could not be read. Please sign in again."


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
        ("cookie", b'session="abc', "malformed value in cookie session"),
        ("cookie", b'session=""', "malformed value in cookie session"),
        ("cookie", b"app", "malformed value in cookie app*, user"),
        ("cookie", b"app=; user=", "malformed value in cookie app*, user"),
        ("cookie", b"app=a\xff", "malformed value in cookie app*, user"),
        ("cookie", b"app=a\x00", "malformed value in cookie app*, user"),
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
    ("name", "prefix"),
    [(b"authorization", b"Bearer "), (b"x-assertion", b""), (b"cookie", b"session=")],
)
def test_a_credential_has_a_maximum_length(name: bytes, prefix: bytes) -> None:
    """It is the maximum size of a request head; the error contains both sizes."""
    length = MAX_HEAD_BYTES - (len(prefix) if name == b"authorization" else 0)
    assert found((name, b" " + prefix + b"a" * length + b" ")).value == "a" * length

    with pytest.raises(CredentialTooLargeError) as error:
        found((name, prefix + b"a" * (length + 1)))
    assert "32769 bytes, and at most 32768 are allowed" in error.value.detail
    assert error.value.reason == (
        "credential too large: received 32769 bytes, expected at most 32768"
    )


def test_the_maximum_length_applies_to_all_cookies_of_a_session_together() -> None:
    """A client cannot bypass the limit with many cookies."""
    chunk = b"a" * (MAX_HEAD_BYTES // 100)

    with pytest.raises(CredentialTooLargeError):
        found(*((b"cookie", b"app.%d=%b" % (number, chunk)) for number in range(100)))


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

    assert [credential.signed_token, credential.signed_token] == [None, None]
    assert parsed == ["abc"]
