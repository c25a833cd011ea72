"""`python -m emulators.apideck --port 8001`."""

import argparse
import os
import signal
import threading

from emulators.apideck.deliveries import Webhook
from emulators.apideck.emulator import API_KEY, ApideckEmulator


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(description="Apideck emulator with a Hosted Vault")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8001)
    parser.add_argument("--api-key", default=os.environ.get("EMULATOR_API_KEY", API_KEY))
    parser.add_argument("--vault-origin", help="origin of the Vault's pages, if not on --host")
    parser.add_argument(
        "--webhook-url",
        default=os.environ.get("EMULATOR_WEBHOOK_URL"),
        help="where events are delivered to",
    )
    chosen = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    emulator = ApideckEmulator([chosen.api_key], vault_origin=chosen.vault_origin)
    emulator.deliveries.webhook = Webhook(url=chosen.webhook_url)
    with emulator.serve(chosen.port, host=chosen.host) as url:
        print(f"Apideck emulator on {url}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
