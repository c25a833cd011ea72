"""A TLS gateway for several host names on one machine, like a load balancer."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_CHUNK = 65_536


class Gateway:
    """Terminates TLS, and forwards each connection to the server of its host name.

    Attributes:
        ports: the loopback port of each host name's server; may change at any time.
        port: the port of the gateway.
    """

    def __init__(self, ports: Mapping[str, int]) -> None:
        self.ports = dict(ports)
        self.port = 0
        with TemporaryDirectory() as folder:
            pem = _certificate(Path(folder))
            self._contexts = {name: _context(pem) for name in ports}
            self._default_context = _context(pem)
        self._names = {context: name for name, context in self._contexts.items()}
        self._default_context.sni_callback = self._choose

    @property
    def browser_rule(self) -> str:
        """The browser option that resolves every host name to this gateway."""
        return (
            f"--host-resolver-rules=MAP *:443 127.0.0.1:{self.port}, "
            "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        )

    @contextlib.contextmanager
    def serve(self) -> Iterator[None]:
        """Serve in a separate thread until the context ends."""
        started = threading.Event()
        loop, end = asyncio.new_event_loop(), asyncio.Event()

        async def run() -> None:
            server = await asyncio.start_server(
                self._forward, "127.0.0.1", ssl=self._default_context
            )
            self.port = server.sockets[0].getsockname()[1]
            started.set()
            await end.wait()
            server.close()

        def thread_main() -> None:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(run())

        thread = threading.Thread(target=thread_main, daemon=True)
        thread.start()
        try:
            assert started.wait(10)
            yield
        finally:
            loop.call_soon_threadsafe(end.set)
            thread.join()

    def _choose(self, connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        # The context of a connection identifies the requested host name.
        connection.context = self._contexts.get(name or "", self._default_context)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        name = self._names.get(writer.get_extra_info("ssl_object").context)
        writers = [writer]
        try:
            if name is None:
                return
            upstream_reader, upstream_writer = await asyncio.open_connection(
                "127.0.0.1", self.ports[name]
            )
            writers.append(upstream_writer)
            copying = [
                asyncio.ensure_future(_copy(reader, upstream_writer)),
                asyncio.ensure_future(_copy(upstream_reader, writer)),
            ]
            await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
            for task in copying:
                task.cancel()
        except OSError:
            pass  # If no server is running, the connection is closed.
        finally:
            for each in writers:
                each.transport.abort()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()


def _context(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def _certificate(folder: Path) -> Path:
    """Write a key and a self-signed certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = folder / "gateway.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return pem
