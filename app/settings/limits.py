"""`LIMITS__…`: requests at the same time, and requests over time."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, StringConstraints, model_validator

from ..common.secret_file import SecretFile, describe
from .groups import Group, Secret, printable

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


def _known_store(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url != MEMORY:
        # Here, because a service that counts in memory should not wait for the import.
        from ..common.redis_client import check_redis_url  # noqa: PLC0415

        check_redis_url(url)
    return value


def valid_password(value: str) -> str:
    """Return `value` when it can be a password of a store: printable ASCII, and not empty.

    Raises:
        ValueError: without quoting the value.
    """
    return printable(value)


def _password_file(path: Path) -> Path:
    try:
        valid_password(SecretFile(path).read_now())
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot be used: {describe(error)}") from None
    return path


PasswordFile = Annotated[Path, AfterValidator(_password_file)]


class AdmissionSettings(Group):
    """How many requests are in flight, and how many wait."""

    max_in_flight: int
    max_waiting: int
    max_wait_seconds: Annotated[float, Field(ge=0, le=30)] = 2.0
    """Seconds that a request waits for admission before it is rejected."""


class ConnectionLimits(AdmissionSettings):
    """Limits on requests for connections, which are apart from those on requests for sessions."""

    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Requests for connections that one process works on at the same time, beside
    `LIMITS__MAX_IN_FLIGHT`."""

    max_waiting: Annotated[int, Field(ge=0, le=100_000)] = 200
    """Requests for connections that may wait for admission; more are rejected immediately."""

    per_user: RateText = "60/minute"
    """Requests for connections that one person may send."""

    per_service: RateText = "1200/minute"
    """Requests for connections that one service may send."""

    per_consumer: RateText = "120/minute"
    """Requests for connections of one consumer, by all callers together. Each costs a request of
    your Apideck plan."""

    total: RateText = "unlimited"
    """Requests for connections that all callers together may send."""


class LimitSettings(AdmissionSettings):
    """Limits on requests in flight, and on requests over time."""

    max_in_flight: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """Session requests that one process works on at the same time. Each needs two sockets: if the
    hard limit on open files (`ulimit -Hn`) is too low for that, fewer are admitted, and the log
    says so at start."""

    max_waiting: Annotated[int, Field(ge=0, le=100_000)] = 8000
    """Session requests that may wait for admission; more are rejected immediately. A queued
    request uses little more than memory; a rejected client often retries immediately."""

    per_user: RateText = "60/minute"
    """Sessions that one person may request: a number and `/second`, `/minute`, `/hour` or `/day`,
    or `unlimited`. The whole quota may be used at once; it refills evenly."""

    per_service: RateText = "1200/minute"
    """Sessions that one service may request."""

    total: RateText = "unlimited"
    """Sessions that all callers together may request: per process when requests are counted in
    memory, across all processes with a shared store."""

    connections: ConnectionLimits = ConnectionLimits()
    """Limits on requests for connections, which are apart from those on requests for sessions."""

    store: Annotated[Secret, AfterValidator(_known_store)] = SecretStr(MEMORY)
    """Where requests are counted: `memory`, each process by itself; or the URL of a Redis or Valkey
    that all processes share, such as `redis://:password@redis:6379/0`. With several servers, it is
    `redis+cluster://node1:6379,node2:6379` for a cluster, and
    `redis+sentinel://sentinel1:26379,sentinel2:26379/mymaster` for a primary that Sentinel watches.
    Percent-encode special characters in the password. `rediss` instead of `redis` means TLS, with
    parameters such as `?ssl_ca_certs=/run/ca.pem`."""

    store_password_file: PasswordFile | None = None
    """A file that contains only the password of the store, instead of one in the URL. A new
    password in it is used from the next connection on, without a restart."""

    store_sentinel_password_file: PasswordFile | None = None
    """A file that contains only the password of the sentinels, if they have one."""

    store_prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] = "vault-bff"
    """Prefix of all keys in the store."""

    store_timeout_seconds: Annotated[float, Field(gt=0, le=5)] = 0.1
    """Seconds that the store may take to respond. Requests that arrive meanwhile wait for the same
    response."""

    when_store_fails: Literal["open", "closed"] = "open"
    """What happens to requests while the store fails: with `open` each process counts by itself,
    with `closed` they are rejected."""

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        files = (self.store_password_file, self.store_sentinel_password_file)
        if files == (None, None):
            return self
        store = self.store.get_secret_value()
        if store == MEMORY:
            raise ValueError("store_password_file needs a store that is not memory")
        from ..common.redis_client import has_password  # noqa: PLC0415
        from ..common.redis_url import RedisUrl  # noqa: PLC0415

        url = RedisUrl.parse(store)
        if self.store_password_file is not None and has_password(url):
            raise ValueError("takes a password in store or in store_password_file, not both")
        if self.store_sentinel_password_file is not None:
            if url.mode != "sentinel":
                raise ValueError("store_sentinel_password_file goes with redis+sentinel:// only")
            if "password" in url.sentinel:
                raise ValueError(
                    "takes sentinel_password in store or store_sentinel_password_file, not both"
                )
        return self
