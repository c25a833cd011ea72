"""How the service handles signals."""

import signal
from typing import Any

import pytest
import uvicorn

from app.observability.redaction import Redactor
from app.server import start
from app.server.server import WorkerServer
from app.settings import Settings
from app.state import Shutdown


def test_a_signal_before_the_service_listens_ends_it(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the signal were ignored, the service would keep running."""

    def create_app(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(start, "configure_logging", lambda _: Redactor())
    monkeypatch.setattr("app.server.run.create_app", create_app)
    with pytest.raises(SystemExit) as error:
        start.serve(settings)

    assert error.value.code == 0


@pytest.mark.parametrize("delay_seconds", [0, 60])
async def test_a_worker_ignores_repeated_signals(delay_seconds: float) -> None:
    """It can get a signal from systemd and from its supervisor; this aborts no request."""
    shutdown = Shutdown()
    server = WorkerServer(
        uvicorn.Config("unused", log_config=None),
        shutdown=shutdown,
        delay_seconds=delay_seconds,
        max_connections=1,
        count_not_accepted=lambda: None,
    )

    server.handle_exit(signal.SIGTERM, None)
    server.handle_exit(signal.SIGTERM, None)
    assert (shutdown.begun, server.should_exit) == (True, delay_seconds == 0)

    server.handle_exit(signal.SIGINT, None)
    server.handle_exit(signal.SIGINT, None)
    assert (server.should_exit, server.force_exit) == (True, False)
