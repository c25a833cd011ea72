"""What an ACL user lacks.

A user needs `~{vault-bff}:*` (the prefix is a setting), `+evalsha +eval +get +set +time`, `+select`
for a database other than 0, and `+asking` in a cluster. A user of Sentinel needs
`+sentinel|masters`.

Source: https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/.
"""

import re

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, ResponseError

_COMMAND = re.compile(r"run the '([a-z|]{1,40})' command")
_IN_SCRIPT = "can't run this command"  # Valkey names the command.
_KEYS = re.compile(r"access (a key|(at least )?one of the keys)")


def missing_right(error: ResponseError) -> str | None:
    """Return which right an error of Redis is about, or None; nothing else of it is quoted."""
    if command := _COMMAND.search(str(error)):
        return f"the user may not run {command[1]}"
    return "the user may not access the keys" if _KEYS.search(str(error)) else None


async def name_missing_right(client: Redis, error: ResponseError, key: str) -> None:
    """Run what the script runs, if that was refused: Redis does not say which command it was.

    Args:
        client: a client of the server that refused.
        error: what it said about the script.
        key: a key of the script. One that is absent still is so, a millisecond later.

    Raises:
        NoPermissionError: it names the command.
    """
    if _IN_SCRIPT not in str(error):
        return
    for command in (("TIME",), ("GET", key), ("SET", key, "0", "NX", "PX", "1")):
        try:
            await client.execute_command(*command)  # type: ignore[no-untyped-call]
        except NoPermissionError:
            raise
        except ResponseError:
            return
