"""Helpers that wait until servers have started."""

import contextlib
import ssl
import time
from collections.abc import Callable

import httpx

# Loading the system's certificates takes longer than a request, and these servers have no TLS.
_NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def http_client() -> httpx.Client:
    """Return a client for servers without TLS."""
    return httpx.Client(verify=_NO_CERTIFICATES, trust_env=False)


def until_ready(url: str, seconds: float, *, is_running: Callable[[], bool] = lambda: True) -> bool:
    """Wait until a URL responds with 200.

    Args:
        url: the URL of a readiness probe.
        seconds: how long to wait at most.
        is_running: returns False once the server has exited.

    Returns:
        Whether the server is ready.
    """
    deadline = time.monotonic() + seconds
    with http_client() as client:
        while time.monotonic() < deadline and is_running():
            with contextlib.suppress(httpx.TransportError):
                if client.get(url).status_code == 200:
                    return True
            time.sleep(0.02)
    return False
