"""The service with faults in it: functions raise an exception that quotes what it must not.

Run as `python -m tests.support.crashing serve`. The file that the environment variable `CRASH_AT`
names holds the places whose functions raise just now, and `CRASH_WORDS` what they say.
"""

import functools
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from app.__main__ import main

IN_REQUESTS = [
    "app.identity.credentials:CredentialFinder.find",
    "app.identity.credentials:parse",
    "app.identity.claims:_metadata",
    "app.identity.sources.introspection:IntrospectionSource.verify",
    "app.identity.sources.cookie_session:CookieSessionSource.verify",
    "app.limits.rates:RateLimits._limits",
    "app.api.body:read_body",
    "app.sessions.service:plan_session",
    "app.apideck.wire:session_body",
    "app.apideck.wire:created_session",
    "app.apideck.exchange:Exchange._body",
    "app.apideck.models:MintedSession.url",
    "app.api.problems:Problems.of",
    "app.middleware.request_context:_encoded",
    "app.observability.audit:AuditRecord.write",
]
IN_THE_BACKGROUND = ["app.apideck.api_key:ApiKey.refresh", "app.identity.jwks:Jwks.refresh_if_due"]
AT_THE_START = ["app.lifespan:_open_apideck"]
AT_THE_END = ["app.limits.redis:RedisStore.aclose"]


class CrashError(Exception):
    """An exception as libraries raise them: it quotes what it choked on."""


def _crash() -> None:
    words = os.environ["CRASH_WORDS"]
    cause = ExceptionGroup(words, [CrashError(words), KeyError(words)])
    cause.add_note(words)
    raise CrashError(words) from cause


def _plant(place: str) -> None:
    module, _, path = place.partition(":")
    owner: Any = importlib.import_module(module)
    *parents, name = path.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    function: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(function)
    def may_crash(*args: Any, **kwargs: Any) -> Any:
        if place in Path(os.environ["CRASH_AT"]).read_text().split():
            _crash()
        return function(*args, **kwargs)

    setattr(owner, name, may_crash)


if __name__ == "__main__":
    for somewhere in (*IN_REQUESTS, *IN_THE_BACKGROUND, *AT_THE_START, *AT_THE_END):
        _plant(somewhere)
    sys.exit(main(sys.argv[1:]))
