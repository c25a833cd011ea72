"""What `make demo` runs: the service, Apideck, an issuer and an application, all on loopback.

Ctrl-C ends all of it.
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
Vault BFF is running, and so is everything around it. Nothing here is real.

  Open            {demo}
                  the settings page of an application, whose people connect their systems
  Or paste        curl -s -X POST {service}/vault-session \\
                    -H "Authorization: Bearer $(curl -s {issuer}/token/ada)"
                  and open the redirect_url that comes back
  The problems    {service}/problems
  The issuer      {issuer}/people
  Press Ctrl-C to end it.
"""


class Stack:
    """The four processes."""

    def __init__(self, base: int) -> None:
        names = ("service", "apideck", "issuer", "demo")
        self.ports = {name: base + i for i, name in enumerate(names)}
        self.urls = {name: f"http://{HOST}:{port}" for name, port in self.ports.items()}
        self.children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all of them, and wait until each answers."""
        for name, port in self.ports.items():
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    fail(f"Port {port} is taken. Choose others with DEMO_PORT_BASE=9000 make demo.")
            self.children[name] = subprocess.Popen(  # noqa: S603 - our own programs
                [sys.executable, "-m", *self._module(name, port)],
                cwd=ROOT,
                env={**os.environ, **self._environment()},
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not all(self._answers(name) for name in self.ports):
            self.check()
            if time.monotonic() > deadline:
                fail("The demo did not start in time; what is above says why.")
            time.sleep(0.1)

    def check(self) -> None:
        """End everything when one of them has ended by itself."""
        for name, child in self.children.items():
            if child.poll() is not None:
                fail(f"The {name} ended by itself; what is above says why.")

    def stop(self) -> None:
        """End all of them, the service first, and wait."""
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

    def _answers(self, name: str) -> bool:
        paths = {"service": "/readyz", "issuer": "/people", "apideck": "/__emulator__/minted"}
        url = self.urls[name] + paths.get(name, "/")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - loopback, http
                return bool(answer.status == 200)
        except OSError:
            return False

    def _module(self, name: str, port: int) -> list[str]:
        modules = {"apideck": "emulators.apideck", "issuer": "emulators.issuer", "demo": "demo"}
        return ["app", "serve"] if name == "service" else [modules[name], "--port", str(port)]

    def _environment(self) -> dict[str, str]:
        """Return what puts config.toml's addresses to where things really are."""
        return {
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(HERE)]),
            "CONFIG_FILE": str(HERE / "config.toml"),
            "SERVER__PORT": str(self.ports["service"]),
            "SERVER__PUBLIC_URL": self.urls["service"],
            "APIDECK__BASE_URL": self.urls["apideck"],
            "APIDECK__VAULT_ORIGINS": json.dumps([self.urls["apideck"]]),
            "IDENTITY__ISSUERS__DEMO__ISSUER": self.urls["issuer"],
            "SESSION__RETURN_TO__SETTINGS": f"{self.urls['demo']}/return.html",
            "SESSION__DEFAULTS__THEME__LOGO": f"{self.urls['demo']}/icon.svg",
            "CORS__ALLOW_ORIGINS": json.dumps([self.urls["demo"]]),
            "VAULT_BFF_URL": self.urls["service"],
            "ISSUER_URL": self.urls["issuer"],
            "APIDECK_URL": self.urls["apideck"],
        }


@contextlib.contextmanager
def ending_on_signals() -> Iterator[threading.Event]:
    """Yield an event that is set on SIGINT and SIGTERM."""
    end = threading.Event()

    def told(_: int, __: FrameType | None) -> None:
        end.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, told)
    yield end


def fail(message: str) -> NoReturn:
    """End with a message and status 1."""
    raise SystemExit(message)


def main() -> None:
    """Run the demo until told to end."""
    stack = Stack(int(os.environ.get("DEMO_PORT_BASE", "8000")))
    with ending_on_signals() as end:
        try:
            stack.start()
            print(MESSAGE.format(**stack.urls), flush=True)
            while not end.wait(0.5):
                stack.check()
        finally:
            stack.stop()


if __name__ == "__main__":
    main()
