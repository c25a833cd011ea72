"""`make demo`: runs the service, an Apideck emulator, an issuer and a web application on loopback.

Ctrl-C stops all of them.
"""

import contextlib
import json
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

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOST = "127.0.0.1"
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
  Press Ctrl-C to stop.
"""


class Stack:
    """The four processes."""

    def __init__(self, base: int) -> None:
        names = ("service", "apideck", "issuer", "demo")
        self.ports = {name: base + i for i, name in enumerate(names)}
        self.urls = {name: f"http://{HOST}:{port}" for name, port in self.ports.items()}
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all processes, and wait until each of them responds."""
        for name, port in self.ports.items():
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    fail(f"Port {port} is in use. Try other ports: DEMO_PORT_BASE=9000 make demo")
            self.children[name] = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-m", *self._module(name, port)],
                cwd=ROOT,
                env=self._environment(name),
                start_new_session=True,
            )
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
        for child in self.children.values():
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children.values():
            try:
                child.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def _responds(self, name: str) -> bool:
        paths = {"service": "/readyz", "issuer": "/people", "apideck": "/__emulator__/minted"}
        url = self.urls[name] + paths.get(name, "/")
        try:
            with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310 - http on loopback
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
            return {**os.environ, **common, **self._settings()}
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
        }

    def _settings(self) -> dict[str, str]:
        """Return the settings that replace the URLs of config.toml by the actual ones."""
        return {
            "CONFIG_FILE": str(HERE / "config.toml"),
            "SERVER__PORT": str(self.ports["service"]),
            "SERVER__PUBLIC_URL": self.urls["service"],
            "APIDECK__BASE_URL": self.urls["apideck"],
            "APIDECK__VAULT_ORIGINS": json.dumps([self.urls["apideck"]]),
            "IDENTITY__ISSUERS__DEMO__ISSUER": self.urls["issuer"],
            "IDENTITY__ISSUERS__BACKENDS__ISSUER": self.urls["issuer"],
            "WEBHOOKS__TARGET_URL": os.environ.get(
                "WEBHOOKS__TARGET_URL", f"{self.urls['demo']}/webhooks/apideck"
            ),
            "SESSION__RETURN_TO__SETTINGS": f"{self.urls['demo']}/return.html",
            "SESSION__DEFAULTS__THEME__LOGO": f"{self.urls['demo']}/icon.svg",
            "CORS__ALLOW_ORIGINS": json.dumps([self.urls["demo"]]),
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
            print(MESSAGE.format(**stack.urls), flush=True)
            while not stop.wait(0.5):
                stack.check()
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
