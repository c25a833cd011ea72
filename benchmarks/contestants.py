"""Who is compared: how each is started, and what it needs."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from emulators.issuer.http import CLIENT_ID, CLIENT_SECRET

HERE = Path(__file__).parent
NODE = HERE / "peers" / "node"
_PAGE = "https://app.example.com"
API_KEY = "sk_bench_opens-nothing"
_UNREACHED = "100000/second"

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
    """Where one run takes place."""

    port: int
    upstream: str
    issuer: str
    folder: Path
    redis: str = ""
    internal_port: int = 0


Headers = Mapping[str, str]


def bearer(token: str) -> Headers:
    """Return the headers of a request with a token in Authorization."""
    return {"authorization": f"Bearer {token}"}


def cookie(token: str) -> Headers:
    """Return the headers of a request with a token in a cookie, as a page of ours sends it."""
    return {
        "cookie": f"session={token}",
        "origin": _PAGE,
        "x-vault-session": "1",
        "content-type": "application/json",
    }


def signature(value: str) -> Headers:
    """Return the headers of an event, with its signature."""
    return {"x-apideck-signature": value, "content-type": "application/json"}


@dataclass(frozen=True)
class Contestant:
    """One server.

    Attributes:
        name: what tables call it.
        command: starts it.
        environment: what it is told beyond `PORT` and `UPSTREAM`.
        missing: what has to be installed first; None when nothing has.
        headers: what a request carries, made of one token.
        opaque: whether its tokens mean something to their issuer alone.
        folder: the working directory that it is started in.
    """

    name: str
    command: Callable[[Run], list[str]]
    environment: Callable[[Run], dict[str, str]] = lambda _: {}
    missing: Callable[[], str | None] = field(default=lambda: None)
    headers: Callable[[str], Headers] = bearer
    opaque: bool = False
    folder: Path = HERE.parent

    def all_environment(self, run: Run) -> dict[str, str]:
        """Return the environment that it is started with."""
        own = {"PORT": str(run.port), "UPSTREAM": run.upstream, "NODE_ENV": "production"}
        return {**os.environ, **own, **self.environment(run)}


def service(
    name: str,
    headers: Callable[[str], Headers] = bearer,
    *,
    opaque: bool = False,
    **settings: str,
) -> Contestant:
    """Return the service itself, with everything on that is on by default.

    Limits are set so high that nobody meets them, but count. Joining a caller's identical requests
    is off: it would spare Apideck most of what is measured.
    """

    def environment(run: Run) -> dict[str, str]:
        return {
            "APIDECK__API_KEY": API_KEY,
            "APIDECK__APP_ID": "bench",
            "APIDECK__BASE_URL": run.upstream,
            "IDENTITY__ISSUERS__MAIN__ISSUER": run.issuer,
            "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff",
            "SESSION__JOIN_IDENTICAL": "false",
            "LIMITS__PER_USER": _UNREACHED,
            "LIMITS__TOTAL": _UNREACHED,
            "SERVER__PORT": str(run.port),
            **{setting: _filled(value, run) for setting, value in settings.items()},
        }

    command = [sys.executable, "-m", "app", "serve"]
    return Contestant(name, lambda _: command, environment, headers=headers, opaque=opaque)


def _filled(value: str, run: Run) -> str:
    known = {"redis": run.redis, "upstream": run.upstream, "internal": str(run.internal_port)}
    for name, filled in known.items():
        value = value.replace(f"{{{name}}}", filled)
    return value


def _python(name: str) -> Contestant:
    module = f"benchmarks.peers.{name}:app"
    options = ["--no-access-log", "--log-level", "warning", "--backlog", "8192"]
    # As long as that of the service: the load generator pauses between batches.
    options += ["--timeout-keep-alive", "75"]
    return Contestant(
        name.replace("_", "-"),
        lambda run: [sys.executable, "-m", "uvicorn", module, "--port", str(run.port), *options],
    )


def _careful(peer: Contestant, name: str) -> tuple[Contestant, Contestant]:
    """Return a peer that does the service's work: verifying all tokens, and remembering them."""
    verifying = replace(peer, name=name, environment=lambda run: {"ISSUER": run.issuer})
    remembering = replace(
        peer,
        name=f"{name}, remembering tokens",
        environment=lambda run: {"ISSUER": run.issuer, "REMEMBER_TOKENS": "1"},
    )
    return verifying, remembering


def _no_node() -> str | None:
    installed = shutil.which("node") and (NODE / "node_modules").is_dir()
    return None if installed else f"npm ci --prefix {NODE.relative_to(HERE.parent)}"


def _node(name: str) -> Contestant:
    file = str(NODE / f"{name}.mjs")
    return Contestant(f"node-{name}", lambda _: ["node", file], missing=_no_node)


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
    LIMITS__CONNECTIONS__PER_USER=_UNREACHED,
    LIMITS__CONNECTIONS__PER_CONSUMER=_UNREACHED,
)
EVENTS = service(
    "vault-bff, events",
    signature,
    WEBHOOKS__TARGET_URL="{upstream}/events",
    WEBHOOKS__SIGNING_SECRET=f"whsec_{'YmVuY2ht' * 4}",
    WEBHOOKS__MAX_IN_FLIGHT="1000",
)


def baseline(checkout: Path, contestant: Contestant = OURS) -> Contestant:
    """Return the service as another checkout has it, to compare two versions in one run."""
    return replace(contestant, name=f"{contestant.name}, baseline", folder=checkout)


PEERS = [
    _python("sdk_per_request"),
    _python("sdk_shared"),
    _python("fastapi_httpx"),
    _node("sdk"),
    _node("undici"),
    MINIMAL,
    Contestant(
        "nginx",
        _nginx,
        missing=lambda: None if shutil.which("nginx") else "apt-get install nginx-light",
    ),
]
ALL = [OURS, *PEERS]

CAREFUL_FASTAPI, REMEMBERING_FASTAPI = _careful(_python("careful_fastapi"), "careful FastAPI")
CAREFUL_FASTIFY, REMEMBERING_FASTIFY = _careful(_node("careful"), "careful Fastify")

FEATURES = [
    COLD,
    service("limits off", LIMITS__PER_USER="unlimited", LIMITS__TOTAL="unlimited"),
    service("limits in Redis", LIMITS__STORE="{redis}"),
    service(
        "tokens in a cookie",
        cookie,
        IDENTITY__ISSUERS__MAIN__CREDENTIAL__COOKIE="session",
        CORS__ALLOW_ORIGINS=f'["{_PAGE}"]',
    ),
    service(
        "introspection, cached",
        opaque=True,
        IDENTITY__ISSUERS__MAIN__INTROSPECTION__CLIENT_ID=CLIENT_ID,
        IDENTITY__ISSUERS__MAIN__INTROSPECTION__CLIENT_SECRET=CLIENT_SECRET,
        IDENTITY__ISSUERS__MAIN__INTROSPECTION__CACHE_SECONDS="300",
    ),
    service("log at error only", LOG__LEVEL="error"),
    # The upstream takes spans, too, as it takes everything.
    service("tracing 1 %", TRACING__ENDPOINT="{upstream}/v1/traces"),
    service("tracing 100 %", TRACING__ENDPOINT="{upstream}/v1/traces", TRACING__SAMPLE_RATIO="1"),
]
