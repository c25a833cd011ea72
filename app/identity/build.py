"""Builds everything that identifies callers, from the settings."""

from collections.abc import Collection
from dataclasses import dataclass

import httpx

from ..observability.metrics import Metrics
from ..settings import IdentitySettings
from .authenticator import Authenticator
from .fetch import Fetcher
from .source import Source
from .sources import build_sources


@dataclass(frozen=True, slots=True)
class Identity:
    """What identifies callers.

    Attributes:
        authenticator: identifies the callers of requests.
        sources: every configured source of callers.
    """

    authenticator: Authenticator
    sources: tuple[Source, ...]


def build_identity(
    settings: IdentitySettings,
    origins: Collection[str],
    http: httpx.AsyncClient,
    metrics: Metrics,
) -> Identity:
    """Build what identifies callers. No request is sent yet.

    Args:
        settings: the settings of every source.
        origins: the exact origins of pages that may send requests with a cookie.
        http: a client that follows no redirects and keeps no cookies.
        metrics: counts the requests to issuers and applications.
    """
    fetcher = Fetcher(http, settings.fetch_timeout_seconds, metrics)
    sources = tuple(build_sources(settings, fetcher))
    return Identity(Authenticator(sources, settings, origins), sources)
