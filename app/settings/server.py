"""`SERVER__…`, `CORS__…`, `LOG__…` and `TRACING__…`: the process, and what it reports."""

from collections.abc import Iterator
from typing import Annotated, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    StringConstraints,
    model_validator,
)

from ..common.urls import page_origin, service_url, web_url
from .groups import Group, HeaderName, NonEmpty, Secret

MAX_WORKERS: Final = 128


def _without_slash(value: str) -> str:
    if value.endswith("/") or "?" in value:
        raise ValueError("must not end with a slash, and must have no query")
    return value


def _number_of_workers(value: object) -> object:
    is_number = isinstance(value, str) and value.isascii() and value.isdecimal()
    number = int(str(value)) if is_number else value
    if number != "auto" and (type(number) is not int or not 1 <= number <= MAX_WORKERS):
        raise ValueError(f"must be auto, or a whole number from 1 to {MAX_WORKERS}")
    return number


class ServerSettings(Group):
    """Where the process listens."""

    host: str = "127.0.0.1"
    """Address to listen on; `::` for all addresses, IPv6 and IPv4, as in the container image."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """Port to listen on. If the environment lacks it, `PORT` is used, which many platforms set."""

    internal_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of its own for `/livez`, `/readyz` and `/metrics`. It is not for callers: probes do not
    queue behind them, and metrics are not public. If it is not set, these paths are served on
    `SERVER__PORT`."""

    internal_host: str | None = None
    """Address to listen on with `SERVER__INTERNAL_PORT`; by default `SERVER__HOST`."""

    workers: Annotated[int | Literal["auto"], BeforeValidator(_number_of_workers)] = 1
    """Processes that serve requests; `auto` for one on each core that this process may use (its CPU
    affinity and the quota of its control group, rounded down). More than one need
    `SERVER__INTERNAL_PORT`. Limits that are per process are per worker; so are rate limits, unless
    `LIMITS__STORE` names a shared store."""

    public_url: Annotated[str, AfterValidator(web_url), AfterValidator(_without_slash)] | None = (
        None
    )
    """Where callers reach the service; makes the `type` of a problem an absolute URI."""

    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` headers are trusted."""

    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$")], ...] = ()
    """Accepted values of the Host header, in lower case and without a port; if empty, all are
    accepted. Nothing else depends on that header. On `SERVER__INTERNAL_PORT` all are accepted;
    without it, probes have to send one of these."""

    docs: bool = False
    """Serve an interactive page of the API at `/docs`, for developers."""

    receive_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds that a request may take to arrive, from its first byte to its last. The service
    closes a connection whose request takes longer, or whose client does not read responses for
    that long."""

    keep_alive_seconds: Annotated[int, Field(ge=1, le=3600)] = 75
    """Seconds that an idle connection is kept open. Use more than the load balancer's idle timeout,
    or requests fail that it sends while the service closes the connection. That timeout is 60 by
    default in AWS, and always 600 in Google Cloud."""

    shutdown_delay_seconds: Annotated[float, Field(ge=0, le=120)] = 0.0
    """Seconds from SIGTERM until the port closes. The process serves requests in this time, but
    `/readyz` returns 503, so use as long as the load balancer takes to notice. In Kubernetes about
    5."""

    shutdown_grace_seconds: Annotated[int, Field(ge=0, le=300)] = 20
    """Seconds that requests in flight have to finish after the port is closed, which is
    `SERVER__SHUTDOWN_DELAY_SECONDS` after SIGTERM; so kill the process no sooner than after the sum
    of both and a little more. Requests that take longer get a 503, so use more than
    `APIDECK__DEADLINE_SECONDS`."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        same_host = (self.internal_host or self.host) == self.host
        if same_host and self.internal_port == self.port:
            raise ValueError("internal_port must not be the same as port")
        return self

    @model_validator(mode="after")
    def _workers_have_an_internal_port(self) -> Self:
        # On the public port, one worker would respond for itself only.
        if self.workers != 1 and self.internal_port is None:
            raise ValueError("more than one of workers, or auto, needs internal_port")
        return self


class CorsSettings(Group):
    """Pages of other origins that may call the service from a browser."""

    allow_origins: tuple[Annotated[str, AfterValidator(page_origin)], ...] = ()
    """Exact origins such as `https://app.example.com`, or those of native shells, such as
    `capacitor://localhost`. Patterns and `null` are not accepted. Apps that are built with the same
    shell can have the same origin."""

    allow_headers: tuple[Annotated[HeaderName, StringConstraints(to_lower=True)], ...] = ()
    """Further headers that these pages may send. Allowed anyway: `Authorization`, `Content-Type`,
    `X-Request-ID`, `traceparent`, `tracestate`, `baggage` and the header that
    `IDENTITY__CSRF_HEADER` names."""


class LogSettings(Group):
    """Format and level of the log."""

    format: Literal["json", "console"] = "json"
    """`json` for machines, one object on each line; `console` for a person at a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level of events that are written."""


_NO_SECRETS = frozenset({"x-scope-orgid", "x-honeycomb-dataset"})


class TracingSettings(Group):
    """Traces with OpenTelemetry. There are none unless an endpoint is set."""

    endpoint: Annotated[str, AfterValidator(service_url)] | None = None
    """Where to send spans with OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`."""

    headers: dict[HeaderName, Secret] = Field(default_factory=dict)
    """Headers to send to the endpoint, such as a vendor's key. The log redacts their values, except
    for values of less than 8 characters, and those of `X-Scope-OrgID` and `X-Honeycomb-Dataset`,
    which are no secrets."""

    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the traces that begin in this service which are sampled. For a caller's trace, the
    caller decides (W3C Trace Context)."""

    service_name: NonEmpty = "vault-bff"
    """Name of the service in traces."""

    tell_apideck: bool = False
    """Send the trace's id to Apideck in the header `traceparent`."""

    def secrets(self) -> Iterator[str]:
        """Yield what the log must not contain: secret headers, and their credentials alone."""
        for name, value in self.headers.items():
            if name.lower() not in _NO_SECRETS:
                yield value.get_secret_value()
                yield value.get_secret_value().rpartition(" ")[2]
