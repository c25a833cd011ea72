"""The result of a request for a session."""

from datetime import UTC, datetime

from app.sessions.models import VaultSession


def test_the_repr_of_a_session_holds_no_secret() -> None:
    """A session that is formatted into a log line has neither token nor URL."""
    session = VaultSession(
        redirect_url="https://vault.example/session/SECRET",
        session_token="SECRET",
        expires_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )

    assert "SECRET" not in f"{session} {session!r}"


def test_the_time_is_in_seconds_and_utc() -> None:
    """It has the form that the documentation shows."""
    session = VaultSession(
        redirect_url="", session_token="", expires_at=datetime(2026, 1, 31, 12, tzinfo=UTC)
    )

    assert session.model_dump(mode="json")["expires_at"] == "2026-01-31T12:00:00Z"
