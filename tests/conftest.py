"""Fixtures and options that all tests share."""

import os
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from app.settings import Settings
from emulators.apideck import ApideckEmulator
from emulators.issuer import DevelopmentIssuer
from tests.support import redis_server
from tests.support.fault_proxy import FaultProxy
from tests.support.ports import free_ports
from tests.support.service import running, settings_for
from tests.support.skips import IMPOSSIBLE
from tests.support.summary import SUMMARY

_SETTINGS = (
    "APIDECK__",
    "IDENTITY__",
    "SESSION__",
    "SERVER__",
    "CORS__",
    "EGRESS__",
    "LIMITS__",
    "LOG__",
    "TRACING__",
    "CONFIG_FILE",
    "PORT",
)
# The slowest files start first, so that parallel workers finish at about the same time.
_SLOWEST = (
    "tests/deploy/test_containers.py",
    "tests/fuzz/test_api.py",
    "tests/security/test_leaks.py",
    "tests/security/test_isolation.py",
    "tests/browser",
    "tests/resilience",
    "tests/e2e",
    "tests/security",
    "tests/deploy",
)
# `make test` runs the same few examples every time; `make fuzz` tries many new ones.
_SLOW = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)
hypothesis_settings.register_profile(
    "slice", derandomize=True, max_examples=100, deadline=None, suppress_health_check=_SLOW
)
hypothesis_settings.register_profile(
    "fuzz", max_examples=5000, deadline=None, print_blob=True, suppress_health_check=_SLOW
)
hypothesis_settings.load_profile("slice")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that makes skips fail in CI."""
    parser.addoption(
        "--no-skips", action="store_true", help="fail on skips that an installation can avoid"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """With `-m serial`, import only files with serial tests: all imports take many seconds."""
    if config.option.markexpr != "serial" or collection_path.suffix != ".py":
        return None
    return "pytest.mark.serial" not in collection_path.read_text() or None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the slowest files to the front."""
    items.sort(key=lambda item: [not item.nodeid.startswith(path) for path in _SLOWEST])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Report a skip as a failure with --no-skips, unless this machine cannot run the test."""
    report = yield
    # The report of a skip holds its file, line and reason.
    avoidable = report.skipped and IMPOSSIBLE not in str(report.longrepr)
    if avoidable and item.config.getoption("--no-skips"):
        report.outcome = "failed"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print lines that tests have recorded, such as how long the container took to start."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == SUMMARY:
                terminalreporter.write_line(str(value))


@pytest.fixture(autouse=True)
def _environment_without_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove settings of the service from the developer's environment."""
    for name in os.environ:
        if name.startswith(_SETTINGS):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis; each test uses its own key prefix."""
    if reason := redis_server.missing():
        pytest.skip(reason)
    with redis_server.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def unused_tcp_port() -> int:
    """Return a free port that the system does not assign to outgoing connections."""
    return free_ports()


@pytest.fixture(scope="session")
def _apideck_server() -> Iterator[tuple[ApideckEmulator, str]]:
    emulator = ApideckEmulator()
    with emulator.serve() as url:
        yield emulator, url


@pytest.fixture(scope="session")
def _issuer_server() -> Iterator[DevelopmentIssuer]:
    issuer = DevelopmentIssuer()
    with issuer.serve():
        yield issuer


@pytest.fixture
def apideck(_apideck_server: tuple[ApideckEmulator, str]) -> ApideckEmulator:
    """Return the Apideck emulator, without requests or sessions."""
    emulator, _ = _apideck_server
    emulator.reset()
    return emulator


@pytest.fixture
def apideck_url(_apideck_server: tuple[ApideckEmulator, str], apideck: ApideckEmulator) -> str:
    """Return the URL of the Apideck emulator, after a reset."""
    assert apideck.requests == []
    return _apideck_server[1]


@pytest.fixture
def issuer(_issuer_server: DevelopmentIssuer) -> DevelopmentIssuer:
    """Return the development issuer, with its initial keys and without a fault."""
    _issuer_server.reset()
    return _issuer_server


@pytest.fixture
def settings(issuer: DevelopmentIssuer, apideck_url: str) -> Settings:
    """Return settings for a service that uses this issuer and this Apideck emulator."""
    return settings_for(issuer.issuer, apideck_url)


@pytest.fixture
async def service(settings: Settings, apideck: ApideckEmulator) -> AsyncIterator[httpx.AsyncClient]:  # noqa: ARG001 - reset before the service runs
    """Run the service; yields a client for it."""
    async with running(settings) as client:
        yield client


@pytest.fixture
async def proxy(apideck: ApideckEmulator, apideck_url: str) -> AsyncIterator[FaultProxy]:
    """Run a fault proxy in front of the Apideck emulator."""
    assert apideck.requests == []
    async with FaultProxy(apideck_url).serve() as proxy:
        yield proxy
