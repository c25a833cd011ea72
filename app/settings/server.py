"""`SERVER__…`, `CORS__…`, `LOG__…` and `TRACING__…`: how the process listens and speaks."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, IPvAnyNetwork, StringConstraints, model_validator

from app.common.urls import page_origin, web_url
from app.settings.groups import Group, HeaderName, NonEmpty, Secret


def _without_slash(value: str) -> str:
    if value.endswith("/") or "?" in value:
        raise ValueError("must not end with a slash, and have no query")
    return value


class ServerSettings(Group):
    """Where the process listens."""

    host: str = "127.0.0.1"
    """Address to listen on; in a container `0.0.0.0`."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8000
    """Port to listen on."""

    internal_port: Annotated[int, Field(ge=1, le=65535)] | None = None
    """Port of its own for `/livez`, `/readyz` and `/metrics`. It is not for callers: probes do not
    queue behind them, and metrics are not public. If it is not set, these paths are served on
    `SERVER__PORT`."""

    internal_host: str | None = None
    """Address to listen on with `SERVER__INTERNAL_PORT`; by default `SERVER__HOST`."""

    public_url: Annotated[str, AfterValidator(web_url), AfterValidator(_without_slash)] | None = (
        None
    )
    """Where callers reach the service; makes the `type` of a problem an absolute URI."""

    trusted_proxies: tuple[IPvAnyNetwork, ...] = ()
    """Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed."""

    allowed_hosts: tuple[Annotated[str, Field(pattern=r"^[a-z0-9.-]{1,253}$")], ...] = ()
    """Values of the Host header that are served, in lower case and without a port; empty serves
    all. No decision is made on that header either way. On `SERVER__INTERNAL_PORT` all are served;
    without it, probes have to send one of these."""

    docs: bool = False
    """Serve an interactive page of the API at `/docs`; it loads its scripts from a public CDN."""

    receive_timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    """Seconds that a request may take to arrive, from its first byte to its last. A connection on
    which none arrives whole in that time is closed, and so is one whose answers are not taken for
    as long."""

    keep_alive_seconds: Annotated[int, Field(ge=1, le=600)] = 75
    """Seconds an idle connection is kept: longer than the load balancer before it keeps it, or
    requests are lost to the race of closing."""

    shutdown_delay_seconds: Annotated[float, Field(ge=0, le=120)] = 0.0
    """Seconds that the process goes on serving, but says on `/readyz` that it is not ready, once it
    is told to end: as long as a load balancer takes to notice. With 0 the port closes at the same
    moment. In Kubernetes some 5."""

    shutdown_grace_seconds: Annotated[int, Field(ge=0, le=300)] = 20
    """Seconds that requests in flight have to finish, once the port is closed: they begin after
    `SERVER__SHUTDOWN_DELAY_SECONDS`, so give the process the sum of both, and a little more. What
    is not finished by then is answered with a 503, so let it be more than
    `APIDECK__DEADLINE_SECONDS`."""

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        same_host = (self.internal_host or self.host) == self.host
        if same_host and self.internal_port == self.port:
            raise ValueError("internal_port must not be the same as port")
        return self


class CorsSettings(Group):
    """Which pages of other origins may call from a browser."""

    allow_origins: tuple[Annotated[str, AfterValidator(page_origin)], ...] = ()
    """Exact origins such as `https://app.example.com`, of native shells too, such as
    `capacitor://localhost`; no pattern, never `null`. All apps that are built with the same shell
    can have the same origin."""

    allow_headers: tuple[Annotated[HeaderName, StringConstraints(to_lower=True)], ...] = ()
    """Further headers that these pages may send. Allowed anyway: `Authorization`, `Content-Type`,
    `X-Request-ID`, `traceparent`, `tracestate`, `baggage` and the header that
    `IDENTITY__CSRF_HEADER` names."""


class LogSettings(Group):
    """What is logged, and how it looks."""

    format: Literal["json", "console"] = "json"
    """`json` for machines, one object a line; `console` for a person at a terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe events that are written."""


_NO_SECRETS = frozenset({"x-scope-orgid", "x-honeycomb-dataset"})


class TracingSettings(Group):
    """Traces by OpenTelemetry. There are none unless an endpoint is set."""

    endpoint: Annotated[str, AfterValidator(web_url)] | None = None
    """Where to send spans, by OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`."""

    headers: dict[HeaderName, Secret] = Field(default_factory=dict)
    """Headers to send to the endpoint, such as a vendor's key. The log redacts their values, except
    for values of less than 8 characters, and those of `X-Scope-OrgID` and `X-Honeycomb-Dataset`,
    which are no secrets."""

    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """Share of the traces that begin here which are kept; a caller's trace is kept when the caller
    keeps it (W3C Trace Context)."""

    service_name: NonEmpty = "vault-bff"
    """What the service is called in traces."""

    tell_apideck: bool = False
    """Send the trace's id to Apideck, as `traceparent`."""

    def secrets(self) -> Iterator[str]:
        """Yield what the log must not contain: secret headers, and their credentials alone."""
        for name, value in self.headers.items():
            if name.lower() not in _NO_SECRETS:
                yield value.get_secret_value()
                yield value.get_secret_value().rpartition(" ")[2]
