"""The command line: `python -m app serve` and `python -m app check`."""

import argparse
import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType
from typing import cast

import structlog
import uvicorn

from app.api.body import MAX_BODY_BYTES
from app.api.problems import Problems
from app.apideck.api_key import read_api_key
from app.bounded_http import Refusal, bounded
from app.check import CONSUMER, check_dependencies
from app.crowded_http import Acceptor, Answer, lines
from app.door import Door
from app.errors import ConfigurationError
from app.main import create_app
from app.middleware.security_headers import HEADERS
from app.observability.logging import configure_logging
from app.settings import Settings
from app.settings.effective import effective
from app.settings.sources import given, load_settings
from app.state import Shutdown

_BACKLOG = 4096

MISCONFIGURED = 78
"""Exit status for wrong settings: EX_CONFIG of sysexits.h."""
UNWELL = 1
"""Exit status when somebody whom the settings name does not answer as they should."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Vault BFF")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service")
    check = commands.add_parser("check", help="check the settings without starting")
    check.add_argument(
        "--live",
        action="store_true",
        help="ask every issuer and application, and Apideck for a session of a minute for the "
        f"consumer {CONSUMER}",
    )
    check.add_argument(
        "--print-config",
        action="store_true",
        help="show every setting, and where it is from; secrets are masked",
    )
    chosen = parser.parse_args(arguments)
    try:
        settings = load_settings()
        _read_secrets(settings)
    except ConfigurationError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return MISCONFIGURED
    if chosen.command == "serve":
        serve(settings)
        return 0
    if chosen.print_config:
        for line in effective(settings, given()):
            print(line)
    return asyncio.run(_ask(settings)) if chosen.live else 0


def _read_secrets(settings: Settings) -> None:
    for name, app in settings.apideck.all_unify_apps().items():
        read_api_key(name, app)


async def _ask(settings: Settings) -> int:
    # What the rooms would log is in the findings.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    well = True
    async for finding in check_dependencies(settings):
        print(finding, flush=True)
        well &= finding.well
    return 0 if well else UNWELL


def serve(settings: Settings) -> None:
    """Serve until told to end, then finish the requests in flight."""
    redactor = configure_logging(settings.log)
    shutdown = Shutdown()
    server = settings.server
    _allow_many_files()
    problems = Problems(server.public_url)
    door = Door(settings, problems)
    config = uvicorn.Config(
        create_app(settings, redactor, shutdown),
        http=bounded(server.receive_timeout_seconds, MAX_BODY_BYTES, _refusal(problems), door),
        host=server.host,
        port=server.port,
        backlog=_BACKLOG,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(server.trusted_proxies),
        forwarded_allow_ips=[str(network) for network in server.trusted_proxies],
        timeout_keep_alive=server.keep_alive_seconds,
        timeout_graceful_shutdown=server.shutdown_grace_seconds,
        ws="none",
    )
    # uvicorn finishes what is in flight and then raises the signal anew; by then all is done, and
    # ending on request is no failure.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    try:
        _Server(config, shutdown, server.shutdown_delay_seconds).run()
    finally:
        door.tell()


def _refusal(problems: Problems) -> Refusal:
    """Return what makes the answers that no middleware sees, because there is no request yet."""

    def refusal(status: int) -> Answer:
        answer = problems.unreadable(status)
        return status, lines({**answer.headers, **HEADERS}), bytes(answer.body)

    return refusal


class _Server(uvicorn.Server):
    """A server that accepts all who come, and is not ready for a while before it ends."""

    def __init__(self, config: uvicorn.Config, shutdown: Shutdown, delay_seconds: float) -> None:
        super().__init__(config)
        self._acceptors: list[Acceptor] = []
        self._shutdown = shutdown
        self._delay = delay_seconds

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve; what is there by then stays, and needs no looking at."""
        await super().startup(sockets)
        listening = [one.fileno() for server in self.servers for one in server.sockets]
        self._acceptors = [Acceptor(one, self._protocol) for one in listening]
        _spare_the_collector()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept nobody any more, and finish what is in flight."""
        for acceptor in self._acceptors:
            acceptor.close()
        for server in self.servers:
            server.close()  # In the same moment: who came in between would be thrown out.
        for acceptor in self._acceptors:
            await acceptor.wait_closed()
        # Before uvicorn cancels what is left then, and those who wait would come into a ruin.
        grace = self.config.timeout_graceful_shutdown or 0
        asyncio.get_running_loop().call_later(grace, self.lifespan.state["gate"].close)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Be ready no longer, and end after the delay; at once when told a second time."""
        first, self._shutdown.begun = not self._shutdown.begun, True
        if first and self._delay and sig == signal.SIGTERM:
            asyncio.get_running_loop().call_later(self._delay, super().handle_exit, sig, frame)
        else:
            super().handle_exit(sig, frame)

    def _protocol(self) -> asyncio.Protocol:
        # As uvicorn makes those of the connections that uvloop accepts.
        make = cast("Callable[..., asyncio.Protocol]", self.config.http_protocol_class)
        return make(
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )


def _spare_the_collector() -> None:
    """Have the garbage collector look at what requests leave, seldom, and at nothing older.

    docs/performance.md says what it took with a thousand requests in flight otherwise.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 10, 10)


def _allow_many_files() -> None:
    """Raise the limit on open files as far as this process may: each request takes two sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


if __name__ == "__main__":
    sys.exit(main())
