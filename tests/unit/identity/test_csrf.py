import pytest

from app.errors import ForbiddenOriginError
from app.identity.csrf import check_page

ORIGINS = ["https://app.example", "https://other.example"]
GOOD = {
    "origin": "https://app.example",
    "sec-fetch-site": "same-site",
    "x-mark": "1",
    "content-type": "application/json",
}


def check(*more: tuple[str, str], **changes: str | None) -> None:
    """Check a good request with some headers replaced, left out (None) or added."""
    members = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
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
def test_a_page_of_ours_may(changes: dict[str, str | None]) -> None:
    """What says that the page is ours is its origin, or the browser's word where it sends none."""
    check(**changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"sec_fetch_site": "cross-site"}, "sent by a page of another site"),
        (
            {"origin": None, "sec_fetch_site": "cross-site"},
            "sent by a page of another site",
        ),
        *(
            (
                {"origin": None, "sec_fetch_site": site},
                "neither Origin nor Sec-Fetch-Site says that its page is ours",
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
        ({"x_mark": None}, "it lacks the header x-mark"),
        *(
            ({"content_type": kind}, "its Content-Type is not application/json")
            for kind in (None, "", "text/plain", "application/jsonx", "text/plain;application/json")
        ),
    ],
)
def test_any_other_page_may_not(changes: dict[str, str | None], why: str) -> None:
    """The caller reads what is asked of a page, the operator which of it was missing."""
    with pytest.raises(ForbiddenOriginError) as error:
        check(**changes)

    assert error.value.reason == f"possible request forgery: {why}"
    assert error.value.detail == (
        "A request with a session cookie must be sent by a page of this application, as JSON and "
        "with the header that marks it."
    )


@pytest.mark.parametrize("name", ["origin", "sec-fetch-site", "x-mark", "content-type"])
def test_a_header_that_decides_stands_once(name: str) -> None:
    """Which of two counts is what proxies and applications have been confused about."""
    with pytest.raises(ForbiddenOriginError) as error:
        check((name, GOOD[name]))

    assert error.value.reason == f"possible request forgery: the header {name} stands twice"


def test_headers_that_decide_nothing_may_stand_twice() -> None:
    """A request has many of those."""
    check(("accept", "a"), ("accept", "b"), ("x-other", "1"), ("x-other", "1"))
