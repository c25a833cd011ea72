import errno
import socket
import ssl
from types import SimpleNamespace

import aiohttp
import httpx
import pytest

from app.common.connect_failures import cause_of
from app.common.transport import AiohttpTransport
from tests.support.ports import free_ports

NO_HOST = SimpleNamespace(host="h", port=1, is_ssl=True, ssl=True)


def caused_by(cause: BaseException) -> str:
    """Return the reason of a failed request with this cause."""
    error = httpx.ConnectError("")
    error.__cause__ = cause
    return cause_of(error)


def certificate_error() -> ssl.SSLCertVerificationError:
    """Return the error for a certificate that has expired."""
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "secret"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "secret"), "no route to the host"),
        (OSError(errno.ENETUNREACH, "secret"), "no route to the network"),
        (ConnectionResetError(errno.ECONNRESET, "secret"), "connection reset"),
        (socket.gaierror(-2, "secret"), "the host name cannot be resolved (DNS)"),
        (ssl.SSLError(1, "secret"), "TLS handshake failed"),
        (certificate_error(), "the certificate is not valid: certificate has expired"),
        (
            aiohttp.ClientConnectorCertificateError(NO_HOST, certificate_error()),  # type: ignore[arg-type]
            "the certificate is not valid: certificate has expired",
        ),
        (
            aiohttp.ClientConnectorSSLError(NO_HOST, ssl.SSLError(1, "secret")),
            "TLS handshake failed",
        ),
        (
            aiohttp.ClientConnectorDNSError(NO_HOST, OSError(None, "secret")),  # type: ignore[arg-type]
            "the host name cannot be resolved (DNS)",
        ),
        (
            aiohttp.ClientConnectorError(NO_HOST, OSError(errno.ECONNREFUSED, "secret")),  # type: ignore[arg-type]
            "connection refused",
        ),
        (
            aiohttp.ClientProxyConnectionError(
                NO_HOST,  # type: ignore[arg-type]
                OSError(errno.ECONNREFUSED, "secret"),
            ),
            "no connection to the egress proxy: connection refused",
        ),
        (
            aiohttp.ClientHttpProxyError(NO_HOST, (), status=407, message="secret"),  # type: ignore[arg-type]
            "the egress proxy responded with 407",
        ),
        (ValueError("secret"), "ConnectError"),
    ],
)
def test_a_failed_connection_has_a_reason_that_quotes_nothing(
    cause: BaseException, reason: str
) -> None:
    """The operator needs to know whether DNS, the port or the certificate is wrong."""
    assert caused_by(cause) == reason


async def test_the_exceptions_of_the_real_transport_are_recognized() -> None:
    """The reasons are correct for a refused connection and for an unknown host name."""
    transport = AiohttpTransport()
    try:
        async with httpx.AsyncClient(transport=transport) as client:
            with pytest.raises(httpx.ConnectError) as refused:
                await client.get(f"http://127.0.0.1:{free_ports()}/")
            with pytest.raises(httpx.ConnectError) as unresolved:
                await client.get("http://no-such-host.invalid/")
    finally:
        await transport.aclose()

    assert cause_of(refused.value) == "connection refused"
    assert cause_of(unresolved.value) == "the host name cannot be resolved (DNS)"
