"""The service with injected faults: functions raise an exception whose message contains secrets.

Run as `python -m tests.support.crashing serve`. The environment variable `CRASH_AT` names a file
that lists the functions that raise at present; `CRASH_MESSAGE` is the message of the exceptions.
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
IN_BACKGROUND = ["app.apideck.api_key:ApiKey.refresh", "app.identity.jwks:Jwks.refresh_if_due"]
AT_STARTUP = ["app.lifespan:_open_apideck"]
AT_SHUTDOWN = ["app.limits.redis:RedisStore.aclose"]


class CrashError(Exception):
    """An exception that quotes its input, as exceptions of libraries do."""


def _crash() -> None:
    message = os.environ["CRASH_MESSAGE"]
    cause = ExceptionGroup(message, [CrashError(message), KeyError(message)])
    cause.add_note(message)
    raise CrashError(message) from cause


def _inject(place: str) -> None:
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
    for each in (*IN_REQUESTS, *IN_BACKGROUND, *AT_STARTUP, *AT_SHUTDOWN):
        _inject(each)
    sys.exit(main(sys.argv[1:]))
