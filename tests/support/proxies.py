"""Runs real reverse proxies with the files of deploy/proxies."""

import contextlib
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import trustme

from tests.support.ports import free_ports
from tests.support.process import until
from tests.support.tools import ROOT, program

FILES = ROOT / "deploy" / "proxies"
HOST = "vault.example.com"
PREFIX = "/api"
PUBLIC_URL = f"https://{HOST}{PREFIX}"
CLIENT = "127.0.0.2"
"""The address of clients; the service and the proxies use 127.0.0.1."""

_PROGRAMS = {
    "nginx": "apt-get install nginx-light",
    "haproxy": "apt-get install haproxy",
    "caddy": "apt-get install caddy",
    "traefik": "make programs",
}
NAMES = tuple(_PROGRAMS)
_NGINX = """
daemon off; master_process off; pid {0}/pid; events {{}}
http {{ access_log off; {1} include {2}; }}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@dataclass(frozen=True, slots=True)
class Service:
    """The service behind a proxy.

    Attributes:
        port: its public port.
        internal_port: its port for probes.
        log: the file with its log.
    """

    port: int
    internal_port: int
    log: Path

    def logged(self) -> dict[str, dict[str, Any]]:
        """Return the access events, by the id of their request."""
        lines = self.log.read_text().splitlines()
        events = [json.loads(line) for line in lines if line.endswith("}")]
        return {one["request_id"]: one for one in events if one["event"] == "http_request"}

    def client_of(self, request_id: str) -> str:
        """Wait until a request is in the log, and return the client's address from its event."""
        until(lambda: request_id in self.logged())
        return str(self.logged()[request_id]["client"])


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running proxy.

    Attributes:
        port: its port, with TLS.
        tls: a TLS context that trusts its certificate.
    """

    port: int
    tls: ssl.SSLContext

    @contextlib.contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Return a client that sends requests for the host name to the proxy."""
        transport = httpx.HTTPTransport(verify=self.tls, local_address=CLIENT)
        with httpx.Client(
            transport=transport,
            base_url=f"https://127.0.0.1:{self.port}{PREFIX}",
            headers={"host": HOST},
            timeout=30,
        ) as client:
            client.event_hooks["request"].append(
                lambda request: request.extensions.update(sni_hostname=HOST)
            )
            yield client

    def send(self, *parts: bytes, until: bytes | None = None) -> bytes:
        """Send bytes on a new connection; return what arrives until it is closed.

        Args:
            parts: the bytes to send.
            until: bytes after which nothing more is read.

        Raises:
            TimeoutError: the proxy leaves the connection open without a response.
        """
        with (
            socket.create_connection(
                ("127.0.0.1", self.port), timeout=30, source_address=(CLIENT, 0)
            ) as plain,
            self.tls.wrap_socket(plain, server_hostname=HOST) as connection,
        ):
            received = b""
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                connection.sendall(b"".join(parts))
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                while part := connection.recv(65_536):
                    received += part
                    if until is not None and until in received:
                        break
            return received


def missing(name: str) -> str | None:
    """Return what is missing and how to install it, or None."""
    return None if program(name) else f"needs {name}: {_PROGRAMS[name]}"


@contextlib.contextmanager
def running(name: str, service: Service, folder: Path) -> Iterator[Proxy]:
    """Run a proxy until the context ends; yields it once it forwards requests."""
    authority, port = trustme.CA(), free_ports()
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "all.pem")
    certificate.private_key_pem.write_to_path(folder / "privkey.pem")
    for one in certificate.cert_chain_pems:
        one.write_to_path(folder / "fullchain.pem", append=True)
    replaced = {
        ":443 ": f":{port} ",
        "listen 443": f"listen {port}",
        '":443"': f'":{port}"',
        "127.0.0.1:8000": f"127.0.0.1:{service.port}",
        "9000 inter": f"{service.internal_port} inter",
        "health_port 9000": f"health_port {service.internal_port}",
        "port: 9000": f"port: {service.internal_port}",
        "/etc/ssl/vault.example.com": str(folder),
        "/etc/haproxy/vault.example.com.pem": str(folder / "all.pem"),
        "/etc/traefik/dynamic": str(folder / "dynamic"),
    }
    command = _COMMANDS[name](folder, replaced)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority.configure_trust(tls)
    proxy = Proxy(port, tls)
    environment = {**os.environ, "CADDY_ADMIN": f"unix/{folder}/admin", "HOME": str(folder)}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder) as process,
    ):
        try:
            until(lambda: process.poll() is not None or _forwards(proxy))
            assert process.poll() is None, (folder / "log").read_text()
            yield proxy
        finally:
            process.kill()


def _forwards(proxy: Proxy) -> bool:
    with proxy.client() as client, contextlib.suppress(httpx.TransportError):
        return client.get("/problems").status_code == 200
    return False


def _copy(source: str, target: Path, replaced: Mapping[str, str]) -> Path:
    text = (FILES / source).read_text()
    for old, new in replaced.items():
        text = text.replace(old, new)
    target.parent.mkdir(exist_ok=True)
    target.write_text(text)
    return target


def _nginx(folder: Path, replaced: Mapping[str, str]) -> list[str]:
    site = _copy("nginx.conf", folder / "site.conf", replaced)
    temporary = "".join(f"{one}_temp_path {folder}/{one}; " for one in _TEMPORARY)
    (folder / "nginx.conf").write_text(_NGINX.format(folder, temporary, site))
    return [program("nginx"), "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]


def _haproxy(folder: Path, replaced: Mapping[str, str]) -> list[str]:
    return [
        program("haproxy"),
        "-db",
        "-f",
        str(_copy("haproxy.cfg", folder / "haproxy.cfg", replaced)),
    ]


def _caddy(folder: Path, replaced: Mapping[str, str]) -> list[str]:
    config = _copy("Caddyfile", folder / "Caddyfile", replaced)
    return [program("caddy"), "run", "--config", str(config), "--adapter", "caddyfile"]


def _traefik(folder: Path, replaced: Mapping[str, str]) -> list[str]:
    _copy("traefik/dynamic/vault-bff.yaml", folder / "dynamic" / "vault-bff.yaml", replaced)
    static = _copy("traefik/traefik.yaml", folder / "traefik.yaml", replaced)
    return [program("traefik"), f"--configFile={static}"]


_COMMANDS: Mapping[str, Callable[[Path, Mapping[str, str]], list[str]]] = {
    "nginx": _nginx,
    "haproxy": _haproxy,
    "caddy": _caddy,
    "traefik": _traefik,
}
