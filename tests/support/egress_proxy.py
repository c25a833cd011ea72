"""An HTTP proxy that requires credentials (RFC 9110 sections 7.3 and 9.3.6)."""

import http.client
import socket
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import quote, urlsplit

USER, PASSWORD = "egress-user", "pr0xy:p@ss/w%41rd"
SCHEME_HEADERS = {"proxy-authorization", "proxy-connection", "connection", "host"}


class EgressProxy:
    """A running proxy.

    Attributes:
        url: its URL, with the credentials.
        address: its URL without them.
        targets: the method and target of every request with valid credentials.
        rejected: the number of requests without valid credentials.
        overrides: the address to connect to instead of a host and port.
    """

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.url = f"http://{quote(USER, safe='')}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}"
        self.targets: list[tuple[str, str]] = []
        self.rejected = 0
        self.overrides: dict[str, tuple[str, int]] = {}

    def connect(self, address: str) -> socket.socket:
        """Open a connection to a host and port."""
        host, _, port = address.rpartition(":")
        return socket.create_connection(self.overrides.get(address, (host, int(port))), timeout=10)


@contextmanager
def egress_proxy() -> Iterator[EgressProxy]:
    """Run a proxy until the context ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.proxy = EgressProxy(server.server_port)  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.proxy  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Forwards the requests of a connection, one after another."""

    protocol_version = "HTTP/1.1"
    _EXPECTED = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    @property
    def _proxy(self) -> EgressProxy:
        return self.server.proxy  # type: ignore[attr-defined,no-any-return]

    def log_message(self, *_: object) -> None:
        """Write nothing."""

    def do_CONNECT(self) -> None:
        """Open a tunnel."""
        if not self._is_authenticated():
            return
        try:
            upstream = self._proxy.connect(self.path)
        except OSError:
            self.send_error(HTTPStatus.BAD_GATEWAY)
            return
        with upstream:
            self.send_response(HTTPStatus.OK)
            self.end_headers()
            back = Thread(target=_copy, args=(upstream, self.connection))
            back.start()
            _copy(self.connection, upstream)
            back.join()
        self.close_connection = True

    def do_GET(self) -> None:
        """Forward a request whose target is an absolute URL."""
        if not self._is_authenticated():
            return
        url = urlsplit(self.path)
        kept = {k: v for k, v in self.headers.items() if k.lower() not in SCHEME_HEADERS}
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        upstream = http.client.HTTPConnection(url.netloc, timeout=10)
        try:
            target = url.path + (f"?{url.query}" if url.query else "")
            upstream.request(self.command, target, body or None, kept)
            response = upstream.getresponse()
            content = response.read()
        except OSError:
            self.send_error(HTTPStatus.BAD_GATEWAY)
            return
        finally:
            upstream.close()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in {"transfer-encoding", "content-length", "connection"}:
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name that http.server looks for

    def _is_authenticated(self) -> bool:
        if self.headers.get("proxy-authorization") == self._EXPECTED:
            self._proxy.targets.append((self.command, self.path))
            return True
        self._proxy.rejected += 1
        self.close_connection = True
        self.send_response(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
        self.send_header("proxy-authenticate", 'Basic realm="egress"')
        self.send_header("content-length", "0")
        self.end_headers()
        return False


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
