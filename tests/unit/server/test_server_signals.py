"""What the service does when it is asked to stop."""

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
    """There is nothing to finish, and a signal that is ignored would leave it running."""

    def create_app(*_: Any, **__: Any) -> None:
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(start, "configure_logging", lambda _: Redactor())
    monkeypatch.setattr("app.server.run.create_app", create_app)
    with pytest.raises(SystemExit) as error:
        start.serve(settings)

    assert error.value.code == 0


@pytest.mark.parametrize("delay_seconds", [0, 60])
async def test_a_worker_counts_each_signal_once(delay_seconds: float) -> None:
    """It can get SIGTERM from systemd and its supervisor, and SIGINT too; no request is cut off."""
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
