import pytest

from app.errors import AmbiguousCredentialsError, UnauthenticatedError
from app.identity.credentials import (
    AUTHORIZATION,
    MAX_CREDENTIAL_LENGTH,
    Credential,
    CredentialFinder,
    CredentialLocation,
)
from tests.support.in_process import told

HEADER, COOKIE = (
    CredentialLocation("header", "X-Assertion"),
    CredentialLocation("cookie", "session"),
)
EVERY_OCTET = "!#$%&'()*+-./09:<=>?@AZ[]^_`az{|}~"

Header = tuple[bytes, bytes]


def found(*headers: Header) -> Credential:
    """Return the credential among these headers."""
    return CredentialFinder([HEADER, COOKIE]).find(headers)


@pytest.mark.parametrize(
    ("header", "place", "value"),
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
def test_a_credential_is_taken_from_its_place(
    header: Header, place: CredentialLocation, value: str
) -> None:
    """It is what stands there, without the white space around it."""
    assert found((b"host", b"x.example"), header) == Credential(place, value)


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
def test_what_stands_elsewhere_is_no_credential(header: Header) -> None:
    """Other headers and other cookies are not looked at; the caller is told what to send."""
    with pytest.raises(UnauthenticatedError) as error:
        found(header)

    assert error.value.reason == "no credential"
    assert error.value.detail == (
        "Send a credential: sign in first, or send an access token in the Authorization header as "
        "'Bearer <token>'."
    )
    assert error.value.presented is False


def test_where_no_place_is_configured_only_authorization_counts() -> None:
    """A cookie or header of any name means nothing then."""
    finder = CredentialFinder([AUTHORIZATION])

    with pytest.raises(UnauthenticatedError, match="Send a credential"):
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
def test_two_credentials_are_one_too_many(headers: list[Header]) -> None:
    """Even equal ones, and even where one of them is none."""
    with pytest.raises(AmbiguousCredentialsError) as error:
        found(*headers)

    assert told(error.value) == ("The request carries more than one credential.", None)


BEARER = "The Authorization header must be 'Bearer <token>'."
MALFORMED = "The credential is malformed."


@pytest.mark.parametrize(
    ("name", "value", "detail", "reason"),
    [
        ("authorization", b"", BEARER, "not a bearer token"),
        ("authorization", b"abc", BEARER, "not a bearer token"),
        ("authorization", b"Bearer", BEARER, "not a bearer token"),
        ("authorization", b"Bearerabc", BEARER, "not a bearer token"),
        ("authorization", b"Basic abc", BEARER, "not a bearer token"),
        ("authorization", b"Bearer a b", BEARER, "not a bearer token"),
        ("authorization", b"Bearer\tabc", BEARER, "not a bearer token"),
        ("authorization", b"Bearer a=b", BEARER, "not a bearer token"),
        ("authorization", b"Bearer \xff", BEARER, "not a bearer token"),
        ("x-assertion", b"", MALFORMED, "malformed value in header X-Assertion"),
        ("x-assertion", b"a:b", MALFORMED, "malformed value in header X-Assertion"),
        ("x-assertion", b"a\xff", MALFORMED, "malformed value in header X-Assertion"),
        ("cookie", b"session", MALFORMED, "malformed value in cookie session"),
        ("cookie", b"session=", MALFORMED, "malformed value in cookie session"),
        ("cookie", b'session="abc"', MALFORMED, "malformed value in cookie session"),
        ("cookie", b"session=a b", MALFORMED, "malformed value in cookie session"),
        ("cookie", b"session=a,b", MALFORMED, "malformed value in cookie session"),
        ("cookie", b"session=a\\b", MALFORMED, "malformed value in cookie session"),
        ("cookie", b"session=\xff", MALFORMED, "malformed value in cookie session"),
    ],
)
def test_a_credential_of_another_form_is_refused(
    name: str, value: bytes, detail: str, reason: str
) -> None:
    """The caller reads what form it must have, and the operator where it stood."""
    with pytest.raises(UnauthenticatedError) as error:
        found((name.encode(), value))

    assert told(error.value) == (detail, reason)
    assert error.value.presented is True


@pytest.mark.parametrize(
    ("name", "before"),
    [(b"authorization", b"Bearer "), (b"x-assertion", b""), (b"cookie", b"session=")],
)
def test_a_credential_has_a_greatest_length(name: bytes, before: bytes) -> None:
    """One of that length is looked at, one beyond it is not."""
    room = MAX_CREDENTIAL_LENGTH - (len(before) if name == b"authorization" else 0)
    assert found((name, b" " + before + b"a" * room + b" ")).value == "a" * room

    with pytest.raises(UnauthenticatedError) as error:
        found((name, before + b"a" * (room + 1)))
    assert told(error.value) == ("The credential is too long.", "credential too long")


def test_a_credential_does_not_show_its_value() -> None:
    """Whoever logs one logs its place."""
    shown = repr(found((b"cookie", b"session=s3cret")))

    assert "session" in shown
    assert "s3cret" not in shown
