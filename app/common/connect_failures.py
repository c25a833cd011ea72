"""Why a connection failed; of libraries, only OpenSSL's message about a certificate is quoted."""

import errno
import socket
import ssl
from collections.abc import Iterator
from typing import Final

import aiohttp

_BY_NUMBER: Final = {
    errno.ECONNREFUSED: "connection refused",
    errno.ECONNRESET: "connection reset",
    errno.EHOSTUNREACH: "no route to the host",
    errno.ENETUNREACH: "no route to the network",
    errno.ETIMEDOUT: "no response to the connection attempt",
}


def cause_of(error: Exception) -> str:
    """Return why a connection failed, such as "connection refused"; else the exception's name."""
    for cause in _causes(error):
        reason = _reason(cause)
        if reason is not None:
            return reason
    return type(error).__name__


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        yield found
        seen.append(found)
        # aiohttp keeps the error of the system in an attribute.
        system = getattr(found, "os_error", None) or getattr(found, "certificate_error", None)
        found = found.__cause__ or system or found.__context__


def _reason(cause: BaseException) -> str | None:
    return _proxy_reason(cause) or _host_reason(cause)


def _proxy_reason(cause: BaseException) -> str | None:
    if isinstance(cause, aiohttp.ClientHttpProxyError):
        return f"the egress proxy responded with {cause.status}"
    if isinstance(cause, aiohttp.ClientProxyConnectionError):
        reason = _host_reason(cause.os_error) or type(cause.os_error).__name__
        return f"no connection to the egress proxy: {reason}"
    return None


def _host_reason(cause: BaseException) -> str | None:
    if isinstance(cause, aiohttp.ClientSSLError):
        return None  # Its cause says more.
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate is not valid: {cause.verify_message}"
    if isinstance(cause, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "the host name cannot be resolved (DNS)"
    if isinstance(cause, ssl.SSLError):
        return "TLS handshake failed"
    return _BY_NUMBER.get(cause.errno or 0) if isinstance(cause, OSError) else None
