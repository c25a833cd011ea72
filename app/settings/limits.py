"""`LIMITS__…`: how much is too much."""

from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from app.settings.groups import Group

MAX_PER_SECOND: Final = 100_000


def _countable(value: str) -> str:
    quota, _, window = value.partition("/")
    if window == "second" and int(quota) > MAX_PER_SECOND:
        raise ValueError(f"must be at most {MAX_PER_SECOND} a second, or unlimited")
    return value


RateText = Annotated[
    str,
    StringConstraints(pattern=r"^(unlimited|[1-9][0-9]{0,6}/(second|minute|hour|day))$"),
    AfterValidator(_countable),
]
MEMORY: Final = "memory"
_SCHEMES = ("redis://", "rediss://", "unix://")


def _known_store(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url == MEMORY:
        return value
    if not url.startswith(_SCHEMES):
        raise ValueError("must be memory, or a URL that begins with redis://, rediss:// or unix://")
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError("must be a URL with a port that is a number up to 65535") from None
    return value


class LimitSettings(Group):
    """How much is too much: in flight at once, and over time."""

    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Requests for a session that one process works on at the same time."""

    max_waiting: Annotated[int, Field(ge=0, le=100_000)] = 8000
    """Requests that may wait for one of these places; more are refused at once. One that waits
    takes memory for what it brought, and no CPU; one that is refused often comes again at once."""

    max_wait_seconds: Annotated[float, Field(ge=0, le=30)] = 2.0
    """Seconds that a request waits for a place before it is refused."""

    per_user: RateText = "60/minute"
    """Sessions that one person may ask for: so many `/second`, `/minute`, `/hour` or `/day`, or
    `unlimited`. All of them may come at once; after that they come back evenly."""

    per_service: RateText = "1200/minute"
    """Sessions that one service may ask for."""

    total: RateText = "unlimited"
    """Sessions that all callers together may ask for: per process with the store in memory, of all
    processes with a shared one."""

    store: Annotated[SecretStr, AfterValidator(_known_store)] = SecretStr(MEMORY)
    """Where requests are counted: `memory`, of each process by itself; or the URL of a Redis or
    Valkey that all processes share, such as `redis://:password@redis:6379/0`."""

    store_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "vault-bff"
    """What keys in the store begin with."""

    store_timeout_seconds: Annotated[float, Field(gt=0, le=5)] = 0.1
    """Seconds that the store may take to answer; it has failed after that. Who comes while it is
    being asked waits for that answer, too."""

    when_store_fails: Literal["open", "closed"] = "open"
    """What becomes of requests while the store fails: with `open` each process counts by itself,
    with `closed` they are refused."""
