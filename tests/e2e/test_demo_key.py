"""Of the demo's processes only the service and the Apideck emulator have Apideck's API key."""

import tomllib
from collections.abc import Iterator
from io import FileIO
from pathlib import Path

import httpx

from tests.support.demo_stack import DemoStack, demo_stack
from tests.support.http import bearer
from tests.support.waiting import http_client

API_KEY = "sk_live_held-by-the-service-and-apideck"
CONFIG = Path(__file__).parent.parent.parent / "deploy" / "local" / "config.toml"
BLOCK_BYTES = 1024 * 1024


def children(pid: int) -> Iterator[tuple[str, int]]:
    """Yield the module and the process id of each child of a process."""
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        yield command[command.index("-m") + 1], int(child)


def has_secret(pid: int, secret: bytes) -> bool:
    """Return whether the environment or the memory of a process contains a secret."""
    if secret in Path(f"/proc/{pid}/environ").read_bytes():
        return True
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            addresses, mode, *_ = line.split()
            if not mode.startswith("rw"):
                continue
            start, end = (int(address, 16) for address in addresses.split("-"))
            if _contains(memory, start, end, secret):
                return True
    return False


def _contains(memory: FileIO, start: int, end: int, secret: bytes) -> bool:
    rest = b""
    for position in range(start, end, BLOCK_BYTES):
        try:
            memory.seek(position)
            block = memory.read(min(BLOCK_BYTES, end - position))
        except OSError:
            return False  # A guard page, or memory that was released in the meantime.
        if secret in rest + block:
            return True
        rest = block[-len(secret) :]
    return False


def modules_with(stack: DemoStack, secret: str) -> set[str]:
    """Return the modules whose processes have a secret."""
    return {name for name, pid in children(stack.pid) if has_secret(pid, secret.encode())}


def use_everything(stack: DemoStack, client: httpx.Client) -> None:
    """Open the page, create a session, connect HubSpot, and receive the event about it."""
    assert client.get(stack.demo).status_code == 200
    headers = bearer(client.get(f"{stack.issuer}/token/ada").text)
    created = client.post(f"{stack.service}/vault-session", headers=headers).json()
    with client.stream("GET", f"{stack.demo}/changes", timeout=10) as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 1000"
        form = {"unified_api": "crm", "service_id": "hubspot", "action": "connect"}
        client.post(f"{stack.apideck}/connect", data={"jwt": created["session_token"], **form})
        assert "data: changed" in lines
    url = f"{stack.service}/vault-connections/crm/hubspot"
    assert client.get(url, headers=headers).json()["service_id"] == "hubspot"


def test_only_the_service_and_apideck_hold_the_api_key() -> None:
    """After a session, a list and an event, no other process has the key in its memory."""
    keys = {"APIDECK__API_KEY": API_KEY, "EMULATOR_API_KEY": API_KEY}
    with demo_stack(**keys) as stack, http_client() as client:
        use_everything(stack, client)

        from_environment = modules_with(stack, API_KEY)
        from_file = modules_with(stack, tomllib.loads(CONFIG.read_text())["apideck"]["api_key"])

    assert from_environment == {"app", "emulators.apideck"}
    assert from_file <= {"app", "emulators.apideck"}
