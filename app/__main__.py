"""The command line: `python -m app serve` and `python -m app check`."""

import argparse
import signal
import sys

import uvicorn

from app.apideck.auth import read_api_key
from app.errors import ConfigurationError
from app.main import create_app
from app.observability.logging import configure_logging
from app.settings import Settings
from app.settings.sources import load_settings

MISCONFIGURED = 78
"""Exit status for wrong settings: EX_CONFIG of sysexits.h."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m app", description="Vault BFF")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service")
    commands.add_parser("check", help="check the settings without starting")
    command = parser.parse_args(arguments).command
    try:
        settings = load_settings()
        read_api_key(settings.apideck)
    except ConfigurationError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)  # noqa: T201 - there is no log before there are settings
        return MISCONFIGURED
    if command == "serve":
        serve(settings)
    return 0


def serve(settings: Settings) -> None:
    """Serve until told to end, then finish the requests in flight."""
    redactor = configure_logging(settings.log)
    server = settings.server
    config = uvicorn.Config(
        create_app(settings, redactor),
        host=server.host,
        port=server.port,
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
    uvicorn.Server(config).run()


if __name__ == "__main__":
    sys.exit(main())
