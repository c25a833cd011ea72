"""The samples of docs/backend.md work unchanged."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from emulators.apideck.emulator import API_KEY
from emulators.issuer import DevelopmentIssuer
from tests.support.apideck_events import sign
from tests.support.events_service import PATH, fresh_event
from tests.support.ports import free_ports
from tests.support.process import environment_for, serving, until, url
from tests.support.samples import ROOT, Sample, backend_sample
from tests.support.waiting import http_client

NODE_MODULES = ROOT / "tests" / "support" / "webhook_receiver" / "node_modules"
EXPECTED = "vault.connection.callable acme"

with_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="needs Node.js: apt-get install nodejs"
)
with_packages = pytest.mark.skipif(
    not NODE_MODULES.is_dir(), reason="needs npm packages: make node-modules"
)


@pytest.fixture
def service(
    issuer: DevelopmentIssuer, apideck_url: str, unused_tcp_port: int
) -> Iterator[tuple[str, dict[str, str]]]:
    """Run a service that grants a backend the consumer acme; yields its URL and environment."""
    environment = {
        **environment_for(issuer.issuer, apideck_url, unused_tcp_port),
        "IDENTITY__ISSUERS__MAIN__AUDIENCE": "vault-bff-services",
        "IDENTITY__ISSUERS__MAIN__KIND": "services",
        "IDENTITY__ISSUERS__MAIN__GRANTS": '{"onboarding": ["acme"]}',
    }
    with serving(environment):
        fetched = run(
            [
                "sh",
                "-c",
                f'{with_issuer(backend_sample("Call the service", "sh"), issuer)}\necho "$TOKEN"',
            ]
        )
        yield url(environment, ""), {**os.environ, "TOKEN": fetched.strip()}


def with_issuer(sample: Sample, issuer: DevelopmentIssuer) -> str:
    """Return the code of a sample with this issuer instead of that of the demo."""
    return sample.code.replace("http://127.0.0.1:8002", issuer.issuer)


def with_service(sample: Sample, base: str) -> str:
    """Return the code of a sample with this URL of the service."""
    return sample.code.replace("https://vault.example.com", base)


def run(command: list[str], environment: dict[str, str] | None = None) -> str:
    """Run a command, and return its output."""
    ended = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_the_curl_sample_creates_a_session(service: tuple[str, dict[str, str]]) -> None:
    """The sample prints the response."""
    base, environment = service
    code = with_service(backend_sample("Call the service", "sh", 1), base)
    assert '"redirect_url":' in run(["sh", "-c", code], environment)


def test_the_curl_sample_lists_connections(service: tuple[str, dict[str, str]]) -> None:
    """The sample prints an empty list for a consumer that is unknown to Apideck."""
    base, environment = service
    code = with_service(backend_sample("Call the service", "sh", 2), base)
    assert run(["sh", "-c", code], environment) == '{"connections":[]}'


def test_the_python_sample_creates_a_session(service: tuple[str, dict[str, str]]) -> None:
    """It returns the URL for the browser, and its error is a sentence with the request id."""
    base, environment = service
    code = with_service(backend_sample("Call the service", "python"), base)
    call = f"{code}\nprint(create_session('acme'))"
    assert "/session/" in run([sys.executable, "-c", call], environment)
    failed = subprocess.run(
        [sys.executable, "-c", f"{code}\ncreate_session('globex')"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert re.search(r"RuntimeError: [A-Z].* \([0-9a-f]{32}\)", failed.stderr)


@with_node
def test_the_node_sample_creates_a_session(
    service: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    """It returns the URL for the browser."""
    base, environment = service
    code = with_service(backend_sample("Call the service", "js"), base)
    file = tmp_path / "sample.mjs"
    file.write_text(f'{code}\nconsole.log(await createSession("acme"));')
    assert "/session/" in run(["node", str(file)], environment)


@contextmanager
def receiving(folder: Path, language: str, port: int, secret: str) -> Iterator[Path]:
    """Run the sample that receives events; yields the file with its output."""
    if language == "python":
        code = backend_sample("Receive events", "python").code
        (folder / "receiver.py").write_text(code)
        uvicorn = ["-m", "uvicorn", "receiver:app", "--port", str(port), "--log-level", "warning"]
        command = [sys.executable, *uvicorn]
    else:
        code = backend_sample("Receive events", "js").code
        (folder / "receiver.mjs").write_text(code)
        (folder / "node_modules").symlink_to(NODE_MODULES)
        command = ["node", "receiver.mjs"]
    environment = {**os.environ, "WEBHOOK_SECRET": secret, "PORT": str(port)}
    output = folder / "output"
    with (
        output.open("w") as file,
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT
        ) as process,
    ):
        until(lambda: responds(port))
        try:
            yield output
        finally:
            process.terminate()


def responds(port: int) -> bool:
    """Tell whether a server responds on a port."""
    try:
        with http_client() as client:
            client.post(f"http://127.0.0.1:{port}/")
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize(
    "language", ["python", pytest.param("js", marks=[with_node, with_packages])]
)
def test_a_receiver_gets_each_event_once(
    issuer: DevelopmentIssuer, tmp_path: Path, language: str
) -> None:
    """With the secret and the settings of the guide, duplicate and forged events are ignored."""
    secret = run(["sh", "-c", backend_sample("Have events forwarded", "sh").code]).strip()
    settings = tomllib.loads(backend_sample("Have events forwarded", "toml").code)["webhooks"]
    assert set(settings) == {"target_url", "signing_secret_file"}
    (tmp_path / "secret").write_text(secret)
    first = free_ports(2)
    environment = {
        **environment_for(issuer.issuer, "http://127.0.0.1:9", first),
        "WEBHOOKS__TARGET_URL": f"http://127.0.0.1:{first + 1}/webhooks/apideck",
        "WEBHOOKS__SIGNING_SECRET_FILE": str(tmp_path / "secret"),
    }
    with (
        receiving(tmp_path, language, first + 1, secret) as output,
        serving(environment),
        http_client() as client,
    ):
        body = fresh_event()
        for _ in range(2):
            headers = {"x-apideck-signature": sign(body, API_KEY)}
            assert client.post(url(environment, PATH), content=body, headers=headers).is_success
        forged = client.post(
            environment["WEBHOOKS__TARGET_URL"],
            content=body,
            headers={
                "webhook-id": "x",
                "webhook-timestamp": "1",
                "webhook-signature": "v1,forged",
            },
        )
        assert forged.status_code == 401
        until(lambda: EXPECTED in output.read_text())

    assert output.read_text().strip() == EXPECTED
