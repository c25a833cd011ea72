import pytest

from app.errors import ForbiddenOriginError
from app.identity.csrf import check_page, check_reading_page

ORIGINS = ["https://app.example", "https://other.example"]
VALID = {
    "origin": "https://app.example",
    "sec-fetch-site": "same-site",
    "x-mark": "1",
    "content-type": "application/json",
}


def check(*more: tuple[str, str], **changes: str | None) -> None:
    """Check a valid request with some headers replaced, removed (None) or added."""
    members = {**VALID, **{name.replace("_", "-"): value for name, value in changes.items()}}
    pairs = [(name, value) for name, value in members.items() if value is not None]
    headers = [(name.encode(), value.encode("latin-1")) for name, value in (*pairs, *more)]
    check_page(headers, ORIGINS, "x-mark")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"origin": "https://other.example"},
        {"sec_fetch_site": None},
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "none"},
        {"origin": None, "sec_fetch_site": "same-origin"},
        {"x_mark": ""},
        {"content_type": "application/json; charset=utf-8"},
        {"content_type": "application/json;a=b;c=d"},
        {"content_type": " Application/JSON ;x"},
    ],
)
def test_a_page_of_an_allowed_origin_is_accepted(changes: dict[str, str | None]) -> None:
    """Without Origin, Sec-Fetch-Site must be same-origin."""
    check(**changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sec_fetch_site": "cross-site"}, "a page of another site sent it"),
        (
            {"origin": None, "sec_fetch_site": "cross-site"},
            "a page of another site sent it",
        ),
        *(
            (
                {"origin": None, "sec_fetch_site": site},
                "neither Origin nor Sec-Fetch-Site names an allowed page",
            )
            for site in (None, "", "same-site", "none", "Same-Origin")
        ),
        *(
            (
                {"origin": origin, "sec_fetch_site": "same-origin"},
                "its Origin is not in CORS__ALLOW_ORIGINS",
            )
            for origin in ("", "null", "https://app.example.evil", "http://app.example", "\xff")
        ),
        ({"x_mark": None}, "the header x-mark is missing"),
        *(
            ({"content_type": kind}, "its Content-Type is not application/json")
            for kind in (None, "", "text/plain", "application/jsonx", "text/plain;application/json")
        ),
    ],
)
def test_every_other_page_is_rejected(changes: dict[str, str | None], reason: str) -> None:
    """The operator's message names the check that failed."""
    with pytest.raises(ForbiddenOriginError) as error:
        check(**changes)

    assert error.value.reason == f"possible request forgery: {reason}"
    assert error.value.detail == "This page may not open your connections."


@pytest.mark.parametrize("name", ["origin", "sec-fetch-site", "x-mark", "content-type"])
def test_a_checked_header_must_not_occur_twice(name: str) -> None:
    """Proxies and applications can disagree about which of the two values applies."""
    with pytest.raises(ForbiddenOriginError) as error:
        check((name, VALID[name]))

    assert error.value.reason == f"possible request forgery: the header {name} occurs twice"


def test_other_headers_may_occur_twice() -> None:
    """They are not checked."""
    check(("accept", "a"), ("accept", "b"), ("x-other", "1"), ("x-other", "1"))


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://app.example"},
        {"origin": "https://other.example", "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-origin"},
    ],
)
def test_an_allowed_page_can_read_without_the_csrf_header(headers: dict[str, str]) -> None:
    """A listed Origin is enough; without Origin, Sec-Fetch-Site must be same-origin."""
    check_reading_page([(k.encode(), v.encode()) for k, v in headers.items()], ORIGINS)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "neither Origin nor Sec-Fetch-Site names an allowed page"),
        (
            [(b"sec-fetch-site", b"same-site")],
            "neither Origin nor Sec-Fetch-Site names an allowed page",
        ),
        ([(b"sec-fetch-site", b"none")], "neither Origin nor Sec-Fetch-Site names an allowed page"),
        ([(b"origin", b"null")], "its Origin is not in CORS__ALLOW_ORIGINS"),
        (
            [(b"origin", b"https://evil.example"), (b"sec-fetch-site", b"same-origin")],
            "its Origin is not in CORS__ALLOW_ORIGINS",
        ),
        (
            [(b"origin", b"https://app.example"), (b"origin", b"https://evil.example")],
            "the header origin occurs twice",
        ),
    ],
)
def test_other_pages_cannot_read(headers: list[tuple[bytes, bytes]], reason: str) -> None:
    """The reason names the check that failed."""
    with pytest.raises(ForbiddenOriginError) as caught:
        check_reading_page(headers, ORIGINS)

    assert caught.value.reason == f"possible request forgery: {reason}"
