"""The command line: `vault-bff serve` and `vault-bff check`; from a checkout, `python -m app …`."""

import argparse
import asyncio
import sys
from collections.abc import Iterable

from . import __version__
from .apideck.account_check import CONSUMER
from .apideck.api_key import ApiKey
from .check.dependencies import check_dependencies
from .check.token import check_token
from .check.token_file import not_a_token, read_token
from .errors import ConfigurationError
from .observability.logging import silence_logging
from .server.start import serve
from .settings import Settings
from .settings.effective import effective, given
from .settings.sources import Sources, misspelt
from .webhooks.build import build_targets

MISCONFIGURED = 78
"""Exit status for wrong settings: EX_CONFIG of sysexits.h."""
CHECK_FAILED = 1
"""Exit status of `check` if a dependency fails, or if no issuer accepts the token."""


def main(arguments: list[str] | None = None, *, program: str = "vault-bff") -> int:
    """Run a command and return its exit status.

    Args:
        arguments: the command and its options; by default those of the process.
        program: how the user has started it, for messages.
    """
    chosen = _chosen(program, arguments)
    try:
        sources = Sources()
        settings = sources.load()
        _read_secrets(settings)
    except ConfigurationError as error:
        for fault in error.faults:
            print(fault, file=sys.stderr)
        return MISCONFIGURED
    if chosen.command == "serve":
        serve(settings)
        return 0
    if chosen.token is not None:
        return _check_token(settings, chosen.token, chosen.issuer)
    lines: Iterable[str] = ()
    if chosen.print_config:
        lines = effective(settings, sources.given())
    elif not chosen.live:
        lines = (f"ok   {line}" for line in given(settings, sources.given()))
    for line in (*lines, *(f"note {line}" for line in misspelt())):
        print(line)
    return asyncio.run(_check_live(settings)) if chosen.live else 0


def _chosen(program: str, arguments: list[str] | None) -> argparse.Namespace:
    parser = _parser(program)
    chosen = parser.parse_args(arguments)
    if chosen.command == "check":
        if chosen.issuer is not None and chosen.token is None:
            parser.error("--issuer needs --token")
        if chosen.token is not None and (chosen.live or chosen.print_config):
            parser.error("--token cannot be combined with --live or --print-config")
    return chosen


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="Vault BFF")
    parser.add_argument("--version", action="version", version=f"vault-bff {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="run the service")
    check = commands.add_parser("check", help="validate the settings without starting the service")
    check.add_argument(
        "--live",
        action="store_true",
        help="also contact every configured dependency; creates a session of one minute in Apideck "
        f"for the consumer {CONSUMER}",
    )
    check.add_argument(
        "--print-config",
        action="store_true",
        help="also print each setting and its source; secrets are masked",
    )
    check.add_argument(
        "--token",
        metavar="FILE",
        type=not_a_token,
        help="check the token in a file, or on the standard input (-), against every issuer; it is "
        "sent only to the issuer that it names",
    )
    check.add_argument(
        "--issuer",
        metavar="NAME",
        help="with --token: send the token to this issuer, whatever the token says",
    )
    return parser


def _read_secrets(settings: Settings) -> None:
    for name, app in settings.apideck.all_unify_apps().items():
        ApiKey(name, app, lambda _: None)
    build_targets(settings.webhooks, settings.apideck, lambda _: None)


async def _check_live(settings: Settings) -> int:
    silence_logging()  # The results hold what the packages would log.
    well = True
    async for result in check_dependencies(settings):
        print(result, flush=True)
        well &= result.well is not False
    return 0 if well else CHECK_FAILED


def _check_token(settings: Settings, file: str, issuer: str | None) -> int:
    if issuer is not None and issuer not in settings.identity.issuers:
        names = ", ".join(settings.identity.issuers)
        print(f"--issuer: is not the name of an issuer; expected one of {names}", file=sys.stderr)
        return MISCONFIGURED
    try:
        text = read_token(file)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return MISCONFIGURED
    silence_logging()
    return asyncio.run(_print_token_check(settings, text, issuer))


async def _print_token_check(settings: Settings, text: str, issuer: str | None) -> int:
    well: bool | None = False
    async for result in check_token(settings, text, issuer):
        print(result, flush=True)
        well = result.well  # The last line is the verdict.
    return 0 if well else CHECK_FAILED


if __name__ == "__main__":
    sys.exit(main(program=f"python -m {__package__}"))
