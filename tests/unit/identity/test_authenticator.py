import pytest

from app.errors import ForbiddenOriginError, UnauthenticatedError
from app.identity.authenticator import Authenticator
from app.identity.credentials import AUTHORIZATION, CredentialLocation
from app.identity.models import Caller
from tests.support.in_process import told

HEADER, COOKIE = CredentialLocation("header", "X-Assertion"), CredentialLocation("cookie", "sid")
Header = tuple[bytes, bytes]
PAGE: list[Header] = [
    (b"origin", b"https://app.example"),
    (b"x-mark", b"1"),
    (b"content-type", b"application/json"),
]


class Believed:
    """Believes everything, under a name of its own."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def caller(self, value: str) -> Caller:
        """Return a caller of that name."""
        return Caller("user", self.name, value, value)


def authenticator(*places: CredentialLocation) -> Authenticator:
    """Return an authenticator that believes what stands at these places."""
    sources = {place: Believed(place.name or "bearer") for place in places}
    return Authenticator(sources, ["https://app.example"], "x-mark")


@pytest.mark.parametrize(
    ("headers", "issuer"),
    [
        ([(b"authorization", b"Bearer abc")], "bearer"),
        ([(b"x-assertion", b"abc")], "X-Assertion"),
        ([*PAGE, (b"cookie", b"sid=abc")], "sid"),
        ([(b"authorization", b"Bearer abc"), (b"origin", b"https://evil.example")], "bearer"),
        ([(b"x-assertion", b"abc"), (b"sec-fetch-site", b"cross-site")], "X-Assertion"),
    ],
)
async def test_a_credential_is_judged_by_who_knows_its_place(
    headers: list[Header], issuer: str
) -> None:
    """What no browser sends by itself is taken from every page."""
    caller = await authenticator(AUTHORIZATION, HEADER, COOKIE).authenticate(headers)

    assert (caller.issuer, caller.subject) == (issuer, "abc")


@pytest.mark.parametrize("missing", range(len(PAGE)))
async def test_a_cookie_counts_only_from_a_page_of_ours(missing: int) -> None:
    """Each thing that marks such a page is needed."""
    headers = [one for i, one in enumerate(PAGE) if i != missing]

    with pytest.raises(ForbiddenOriginError, match="sent by a page of this application"):
        await authenticator(COOKIE).authenticate([*headers, (b"cookie", b"sid=abc")])


async def test_where_nobody_takes_bearer_tokens_there_is_no_such_credential() -> None:
    """A token for another place must not be tried at this one."""
    with pytest.raises(UnauthenticatedError) as error:
        await authenticator(HEADER, COOKIE).authenticate([(b"authorization", b"Bearer abc")])

    assert told(error.value) == (
        "The access token is not valid.",
        "no issuer's tokens are taken from the Authorization header",
    )
