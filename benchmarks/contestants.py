"""The compared servers: their commands, settings and requirements."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulators.issuer.http import CLIENT_ID, CLIENT_SECRET

HERE = Path(__file__).parent
NODE = HERE / "peers" / "node"
_ORIGIN = "https://app.example.com"
API_KEY = "sk_bench_opens-nothing"
_HIGH_LIMIT = "100000/second"
"""A limit that counts requests, but never rejects one."""

_NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log /dev/null;
worker_rlimit_nofile 65536;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream apideck {{ server {upstream}; keepalive 8192; }}
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location = /vault-session {{
      proxy_pass http://apideck/vault/sessions; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Authorization "Bearer sk_bench";
      proxy_set_header X-Apideck-App-Id bench; proxy_set_header X-Apideck-Consumer-Id consumer;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Run:
    """Addresses and files for one run of a server.

    Attributes:
        port: the port of the server.
        upstream: URL of the stub upstream.
        issuer: URL of the issuer of the tokens.
        folder: a folder for temporary files.
        redis: URL of Redis, for contestants that use it.
        internal_port: a second port, for contestants that use one.
    """

    port: int
    upstream: str
    issuer: str
    folder: Path
    redis: str = ""
    internal_port: int = 0


Headers = Mapping[str, str]


def bearer(token: str) -> Headers:
    """Return headers with a token in Authorization."""
    return {"authorization": f"Bearer {token}"}


def cookie(token: str) -> Headers:
    """Return headers with a token in a cookie, as a browser sends them."""
    return {
        "cookie": f"session={token}",
        "origin": _ORIGIN,
        "x-vault-session": "1",
        "content-type": "application/json",
    }


def signature(value: str) -> Headers:
    """Return the headers of a signed event."""
    return {"x-apideck-signature": value, "content-type": "application/json"}


@dataclass(frozen=True)
class Contestant:
    """One server.

    Attributes:
        name: its name in tables.
        command: returns the command that starts it.
        environment: returns environment variables in addition to `PORT` and `UPSTREAM`.
        missing: returns the command that installs a missing requirement, or None.
        headers: returns the headers of a request, for one token.
        opaque: whether it needs opaque tokens, and introspects them.
        folder: its working directory.
    """

    name: str
    command: Callable[[Run], list[str]]
    environment: Callable[[Run], dict[str, str]] = lambda _: {}
    missing: Callable[[], str | None] = field(default=lambda: None)
    headers: Callable[[str], Headers] = bearer
    opaque: bool = False
    folder: Path = HERE.parent

    def all_environment(self, run: Run) -> dict[str, str]:
        """Return the complete environment of its process."""
        common = {"PORT": str(run.port), "UPSTREAM": run.upstream, "NODE_ENV": "production"}
        return {**os.environ, **common, **self.environment(run)}


def service(
    name: str,
    headers: Callable[[str], Headers] = bearer,
    *,
    opaque: bool = False,
    **settings: str,
) -> Contestant:
    """Return the service with its default features, except for two settings.

    The rate limits count requests, but are too high to reject one. Identical requests of a caller
    are not joined, because otherwise most requests would not reach the upstream.

    Args:
        name: its name in tables.
        headers: returns the headers of a request, for one token.
        opaque: whether it needs opaque tokens, and introspects them.
        settings: further settings; `{redis}`, `{upstream}` and `{internal}` in a value are replaced
            by the URLs and the internal port of the run.
    """

    def environment(run: Run) -> dict[str, str]:
        return {
            "APIDECK__API_KEY": API_KEY,
            "APIDECK__APP_ID": "bench",
            "APIDECK__BASE_URL": run.upstream,
            "IDENTITY__ISSUERS__MAIN__ISSUER": run.issuer,
            "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
            "SESSION__JOIN_IDENTICAL": "false",
            "LIMITS__PER_USER": _HIGH_LIMIT,
            "LIMITS__TOTAL": _HIGH_LIMIT,
            "SERVER__PORT": str(run.port),
            **{setting: _substitute(value, run) for setting, value in settings.items()},
        }

    command = [sys.executable, "-m", "app", "serve"]
    return Contestant(name, lambda _: command, environment, headers=headers, opaque=opaque)


def _substitute(value: str, run: Run) -> str:
    variables = {"redis": run.redis, "upstream": run.upstream, "internal": str(run.internal_port)}
    for name, substitute in variables.items():
        value = value.replace(f"{{{name}}}", substitute)
    return value


def _python(name: str) -> Contestant:
    module = f"benchmarks.peers.{name}:app"
    options = ["--no-access-log", "--log-level", "warning", "--backlog", "8192"]
    # The same value as for the service, because the load generator pauses between batches.
    options += ["--timeout-keep-alive", "75"]
    return Contestant(
        name.replace("_", "-"),
        lambda run: [sys.executable, "-m", "uvicorn", module, "--port", str(run.port), *options],
    )


def _careful(peer: Contestant, name: str) -> tuple[Contestant, Contestant]:
    """Return a peer that does the same work as the service, without and with a token cache."""
    verifying = replace(peer, name=name, environment=lambda run: {"ISSUER": run.issuer})
    caching = replace(
        peer,
        name=f"{name}, tokens cached",
        environment=lambda run: {"ISSUER": run.issuer, "CACHE_TOKENS": "1"},
    )
    return verifying, caching


def _missing_node_packages() -> str | None:
    installed = shutil.which("node") and (NODE / "node_modules").is_dir()
    return None if installed else f"npm ci --prefix {NODE.relative_to(HERE.parent)}"


def _node(name: str) -> Contestant:
    file = str(NODE / f"{name}.mjs")
    return Contestant(f"node-{name}", lambda _: ["node", file], missing=_missing_node_packages)


def _nginx(run: Run) -> list[str]:
    upstream = run.upstream.removeprefix("http://")
    file = run.folder / "nginx.conf"
    file.write_text(_NGINX.format(folder=run.folder, upstream=upstream, port=run.port))
    return ["nginx", "-e", "/dev/null", "-c", str(file)]


OURS = service("vault-bff")
INTERNAL = service("vault-bff, probes on their own port", SERVER__INTERNAL_PORT="{internal}")
WORKERS = service("vault-bff, two workers", SERVER__WORKERS="2", SERVER__INTERNAL_PORT="{internal}")
COLD = service("vault-bff, tokens cold", IDENTITY__REMEMBERED_TOKENS="0")
MINIMAL = _python("starlette_aiohttp")
LISTS = service(
    "vault-bff, lists of connections",
    LIMITS__CONNECTIONS__PER_USER=_HIGH_LIMIT,
    LIMITS__CONNECTIONS__PER_CONSUMER=_HIGH_LIMIT,
)
EVENTS = service(
    "vault-bff, events",
    signature,
    WEBHOOKS__TARGET_URL="{upstream}/events",
    WEBHOOKS__SIGNING_SECRET=f"whsec_{'YmVuY2ht' * 4}",
    WEBHOOKS__MAX_IN_FLIGHT="1000",
)


def baseline(checkout: Path, contestant: Contestant = OURS) -> Contestant:
    """Return the service from another checkout, to compare two versions in one run."""
    return replace(contestant, name=f"{contestant.name}, baseline", folder=checkout)


SDK_PER_REQUEST, SDK_SHARED = _python("sdk_per_request"), _python("sdk_shared")
NODE_SDK = _node("sdk")
NO_WORK = [
    MINIMAL,
    _node("undici"),
    Contestant(
        "nginx",
        _nginx,
        missing=lambda: None if shutil.which("nginx") else "apt-get install nginx-light",
    ),
    _python("fastapi_httpx"),
    NODE_SDK,
    SDK_SHARED,
]
"""Peers that only forward requests."""

CAREFUL_FASTAPI, CACHING_FASTAPI = _careful(_python("careful_fastapi"), "careful FastAPI")
CAREFUL_FASTIFY, CACHING_FASTIFY = _careful(_node("careful"), "careful Fastify")

FEATURES = [
    COLD,
    service("limits off", LIMITS__PER_USER="unlimited", LIMITS__TOTAL="unlimited"),
    service("limits in Redis", LIMITS__STORE="{redis}"),
    service(
        "tokens in a cookie",
        cookie,
        IDENTITY__ISSUERS__MAIN__CREDENTIAL__COOKIE="session",
        CORS__ALLOW_ORIGINS=f'["{_ORIGIN}"]',
    ),
    service(
        "introspection, cached",
        opaque=True,
        IDENTITY__ISSUERS__MAIN__INTROSPECTION__CLIENT_ID=CLIENT_ID,
        IDENTITY__ISSUERS__MAIN__INTROSPECTION__CLIENT_SECRET=CLIENT_SECRET,
        IDENTITY__ISSUERS__MAIN__INTROSPECTION__CACHE_SECONDS="300",
    ),
    service("log at error only", LOG__LEVEL="error"),
    # The stub upstream accepts spans, too.
    service("tracing 1 %", TRACING__ENDPOINT="{upstream}/v1/traces"),
    service("tracing 100 %", TRACING__ENDPOINT="{upstream}/v1/traces", TRACING__SAMPLE_RATIO="1"),
]
