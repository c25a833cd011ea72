"""Binding a port."""

import socket

import pytest
import structlog
from uvicorn.config import STARTUP_FAILURE

from app.server.listener import bind, listen
from tests.support.ports import has_ipv6
from tests.support.skips import IMPOSSIBLE


def in_use(port: int) -> dict[str, object]:
    """Return the log event for a port that another process uses."""
    return {
        "event": "port_not_available",
        "log_level": "error",
        "host": "127.0.0.1",
        "port": port,
        "reason": "Address already in use",
    }


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_the_unspecified_ipv6_address_accepts_both_families(address: str) -> None:
    """A client can connect to a port on `::` with IPv6 and with IPv4."""
    if address == "::1" and not has_ipv6():
        pytest.skip(f"{IMPOSSIBLE}: it has no IPv6")
    with bind("::", 0) as listener:
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((address, port), timeout=20):
            listener.settimeout(20)
            listener.accept()[0].close()


def test_ipv4_is_accepted_even_if_the_system_separates_the_families() -> None:
    """The socket does not depend on `net.ipv6.bindv6only`."""
    with bind("::", 0) as listener:
        assert listener.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == 0


def test_a_machine_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    """`::` means all addresses of the machine."""
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    with bind("::", 0) as listener:
        assert listener.family == socket.AF_INET
        assert listener.getsockname()[0] == "0.0.0.0"  # noqa: S104


@pytest.mark.parametrize("shared", [False, True])
def test_a_port_is_shared_only_on_request(shared: bool) -> None:
    """A second process gets the port if both share it; otherwise, it ends with a log event."""
    with bind("127.0.0.1", 0, shared=shared) as first, structlog.testing.capture_logs() as log:
        first.listen()
        port = first.getsockname()[1]
        if shared:
            bind("127.0.0.1", port, shared=True).close()
            return
        with pytest.raises(SystemExit) as ended:
            bind("127.0.0.1", port)

    assert ended.value.code == STARTUP_FAILURE
    assert log[-1] == in_use(port)


def test_only_one_of_two_processes_that_bind_a_port_can_listen() -> None:
    """Both can bind the port while neither listens; the second ends with a log event."""
    with bind("127.0.0.1", 0) as first, structlog.testing.capture_logs() as log:
        port = first.getsockname()[1]
        second = bind("127.0.0.1", port)
        listen(first, 1)
        with pytest.raises(SystemExit) as ended:
            listen(second, 1)

    assert ended.value.code == STARTUP_FAILURE
    assert second.fileno() == -1
    assert log[-1] == in_use(port)
