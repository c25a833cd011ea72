"""Binds a port."""

import socket
import sys
from typing import Final, NoReturn

import structlog
from uvicorn.config import STARTUP_FAILURE

logger = structlog.get_logger(__name__)

_ANY_IPV6: Final = "::"
_ANY_IPV4: Final = "0.0.0.0"  # noqa: S104 - the operator has chosen all addresses


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that is bound to a port, and does not listen yet; `listen` has it listen.

    `::` stands for all addresses: IPv6, and IPv4 as well, whatever `net.ipv6.bindv6only` says. On a
    machine without IPv6 it is all IPv4 addresses. asyncio binds IPv6 sockets for IPv6 only.

    Args:
        host: the address.
        port: the port.
        shared: whether other processes of this user may share the port.

    Raises:
        SystemExit: with status 3, if the port is taken or the address is not one of this machine.
    """
    if host == _ANY_IPV6 and not socket.has_dualstack_ipv6():
        host = _ANY_IPV4
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if host == _ANY_IPV6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
    except OSError as error:
        _fail(listener, host, port, error)
    return listener


def listen(listener: socket.socket, backlog: int) -> None:
    """Have a bound socket listen.

    Two processes can bind the same port at the same time, but only one of them can listen.

    Args:
        listener: the socket.
        backlog: how many connections may wait for it.

    Raises:
        SystemExit: with status 3, if another process listens on the port.
    """
    host, port = listener.getsockname()[:2]
    try:
        listener.listen(backlog)
    except OSError as error:
        _fail(listener, host, port, error)
    logger.info("port_bound", host=host, port=port)


def _fail(listener: socket.socket, host: str, port: int, error: OSError) -> NoReturn:
    listener.close()
    logger.error("port_not_available", host=host, port=port, reason=error.strerror)
    sys.exit(STARTUP_FAILURE)
