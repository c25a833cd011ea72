"""`make demo`: runs the service, an Apideck emulator, an issuer and a web application on loopback.

Ctrl-C stops all of them.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from service_environment import RETURN_TARGET, SettingsError, service_environment
from service_log import relay

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOST = "127.0.0.1"
# Without the proxy of the environment, which cannot connect to loopback on this machine.
LOOPBACK = urllib.request.build_opener(urllib.request.ProxyHandler({}))
START_SECONDS = 30.0
STOP_SECONDS = 10.0

MESSAGE = """
Vault BFF is running, with emulators of everything that it needs. Nothing here is real.

  Open            {demo}
                  the settings page of a web application with integrations
  Or paste        curl -s -X POST {service}/vault-session \\
                    -H "Authorization: Bearer $(curl -s {issuer}/token/ada)"
                  and open the redirect_url of the response
  The problems    {service}/problems
  The issuer      {issuer}/people
{notes}  Press Ctrl-C to stop.
"""
OWN_PAGE = """\
  Your page       {origin} may call the service;
                  return_to "{target}" leads back to {origin}/
"""
USED = "  Your settings   used instead of the demo's: {names}\n"
IGNORED = "  Ignored         the demo needs its own values of: {names}\n"


class Stack:
    """The four processes."""

    def __init__(self, base: int) -> None:
        names = ("service", "apideck", "issuer", "demo")
        self.ports = {name: base + i for i, name in enumerate(names)}
        self.urls = {name: f"http://{HOST}:{port}" for name, port in self.ports.items()}
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self.service = service_environment(self.urls, base, os.environ)
        except SettingsError as wrong:
            fail(str(wrong))
        self._internal = self.service.variables.get("SERVER__INTERNAL_PORT", str(base))
        self._log: threading.Thread | None = None

    def start(self) -> None:
        """Start all processes, and wait until each of them responds."""
        # The demo's server starts first, because it reads the log of the service.
        for name, port in reversed(self.ports.items()):
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    fail(f"Port {port} is in use. Try other ports: DEMO_PORT_BASE=9000 make demo")
            self.children[name] = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-m", *self._module(name, port)],
                cwd=ROOT,
                env=self._environment(name),
                start_new_session=True,
                stdin=subprocess.PIPE if name == "demo" else None,
                stdout=subprocess.PIPE if name == "service" else None,
            )
        log, page = self.children["service"].stdout, self.children["demo"].stdin
        if log and page:
            self._log = relay(log, page, console=self.service.console)
        deadline = time.monotonic() + START_SECONDS
        while not all(self._responds(name) for name in self.ports):
            self.check()
            if time.monotonic() > deadline:
                fail("The demo did not start in time. The output above shows the reason.")
            time.sleep(0.1)

    def check(self) -> None:
        """Exit when one of the processes has exited."""
        for name, child in self.children.items():
            if child.poll() is not None:
                fail(f"The {name} has exited. The output above shows the reason.")

    def stop(self) -> None:
        """Stop all processes, the service first, and wait for them."""
        children = [self.children[name] for name in self.ports if name in self.children]
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        if self._log:
            self._log.join(STOP_SECONDS)

    def notes(self) -> str:
        """Return what the message says about the developer's page and settings."""
        found = ""
        if origin := os.environ.get("DEMO_ORIGIN", "").removesuffix("/"):
            found += OWN_PAGE.format(origin=origin, target=RETURN_TARGET)
        if self.service.used:
            found += USED.format(names=", ".join(self.service.used))
        if self.service.ignored:
            found += IGNORED.format(names=", ".join(self.service.ignored))
        return found

    def _responds(self, name: str) -> bool:
        paths = {"service": "/readyz", "issuer": "/people", "apideck": "/__emulator__/minted"}
        port = self._internal if name == "service" else self.ports[name]
        url = f"http://{HOST}:{port}{paths.get(name, '/')}"
        try:
            with LOOPBACK.open(url, timeout=2) as response:
                return bool(response.status == 200)
        except OSError:
            return False

    def _module(self, name: str, port: int) -> list[str]:
        modules = {"apideck": "emulators.apideck", "issuer": "emulators.issuer", "demo": "demo"}
        return ["app", "serve"] if name == "service" else [modules[name], "--port", str(port)]

    def _environment(self, name: str) -> dict[str, str]:
        """Return a process's environment: only the service and the emulator get the API key."""
        common = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)])}
        if name == "service":
            return {**self.service.variables, **common}
        if name == "apideck":
            events = {"EMULATOR_WEBHOOK_URL": f"{self.urls['service']}/webhooks/apideck"}
            return {**_without_settings(), **common, **events}
        outside = _without_settings()
        outside.pop("EMULATOR_API_KEY", None)
        if secret := os.environ.get("WEBHOOKS__SIGNING_SECRET"):
            outside["WEBHOOKS__SIGNING_SECRET"] = secret
        return {
            **outside,
            **common,
            "VAULT_BFF_URL": self.urls["service"],
            "ISSUER_URL": self.urls["issuer"],
            "APIDECK_URL": self.urls["apideck"],
            "SERVICE_LOG": "stdin",
            "METRICS_URL": f"http://{HOST}:{self._internal}/metrics",
        }


def _without_settings() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if "__" not in name}


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """Yield an event that is set on SIGINT and SIGTERM."""
    stop = threading.Event()

    def set_event(_: int, __: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, set_event)
    yield stop


def fail(message: str) -> NoReturn:
    """Exit with a message and status 1."""
    raise SystemExit(message)


def main() -> None:
    """Run the demo until a signal stops it."""
    stack = Stack(int(os.environ.get("DEMO_PORT_BASE", "8000")))
    with stop_on_signals() as stop:
        try:
            stack.start()
            print(MESSAGE.format(**stack.urls, notes=stack.notes()), flush=True)
            while not stop.wait(0.5):
                stack.check()
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
