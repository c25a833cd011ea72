"""Load by wrk, which keeps a number of connections busy, and what came of it."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.contestants import Headers, Run, bearer
from benchmarks.operations import SESSION, Operation
from benchmarks.servers import LOAD_CORE, Server

_WARM_UP_SECONDS = 2
_REST_SECONDS = 1.5
"""Between warming up and measuring, for what was under way when the first broke off."""
PEOPLE = 2000


@dataclass(frozen=True)
class Scenario:
    """How much is asked of whom.

    Attributes:
        delay: seconds that the upstream takes.
        connections: how many are open at once; each has one request under way.
        seconds: how long is measured.
        operation: what is requested.
    """

    delay: float
    connections: int
    seconds: int
    operation: Operation = SESSION


@dataclass(frozen=True)
class Result:
    """One contestant in one scenario and round.

    Attributes:
        per_second: good answers a second: 201 (nginx: 200), for a list 200, for an event 204.
        cpu_ms: CPU of the server's processes in milliseconds for each such answer.
        p50_ms: half of the answers took no longer.
        p99_ms: 99 of 100 took no longer.
        errors: answers of another status, and broken or late ones.
        wrong: of the answers to the warm-up, each of which is looked at, those without a session,
            or without the last connector of a list.
        rss_mb: memory of the server's processes at the end.
    """

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int
    rss_mb: float
    wrong: int = 0


def checked(
    run: Run, credential: str, headers: Callable[[str], Headers], operation: Operation
) -> None:
    """Make sure that one answer is right in full; see `lua` for the arguments."""
    url = f"http://127.0.0.1:{run.port}{operation.path}"
    value, _, body = credential.partition("\t")
    answer = httpx.request(
        operation.method, url, headers=dict(headers(value)), content=body or None, timeout=30
    )
    assert answer.is_success, answer.text
    operation.check(answer)


def wrk(
    run: Run, script: Path, connections: int, seconds: int, *, look: bool = False
) -> dict[str, float]:
    """Load for so long, look at each answer's body where asked to, and return what wrk says."""
    threads = "1"
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t", threads, "-c", str(connections)]
    command += ["-d", f"{seconds}s", "--timeout", "20s", "-s", str(script)]
    command += [f"http://127.0.0.1:{run.port}", "--", "look" if look else ""]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(out[out.index("{") :])
    return found


def lua(
    folder: Path,
    credentials: list[str],
    headers: Callable[[str], Headers] = bearer,
    operation: Operation = SESSION,
) -> Path:
    """Write what has wrk send the credentials in turn, and say what it saw as JSON.

    Args:
        folder: where it is written.
        credentials: tokens; or signatures, each with a tab and the body that it is for.
        headers: what a request carries, for one token or signature.
        operation: what is requested.
    """
    (folder / "credentials.txt").write_text("\n".join(credentials))
    script = folder / "load.lua"
    names = "\n".join(
        f'  h["{name}"] = ("{value}"):gsub("VALUE", value)'
        for name, value in headers("VALUE").items()
    )
    script.write_text(
        f"""
local credentials, at = {{}}, 0
for line in io.lines("{folder}/credentials.txt") do credentials[#credentials + 1] = line end
local requests = {{}}
local function made(credential)
  local value, body = credential:match("^([^\t]*)\t?(.*)$")
  local h = {{}}
{names}
  return wrk.format("{operation.method}", "{operation.path}", h, body ~= "" and body or nil)
end
function request()
  at = at % #credentials + 1
  requests[at] = requests[at] or made(credentials[at])
  return requests[at]
end
local threads = {{}}
function setup(thread) threads[#threads + 1] = thread end
function init(arguments)
  wrong = 0
  -- Asked for each answer, which costs wrk so much that only warming up does it.
  if arguments[1] == "look" then
    function response(status, _, body)
      if status < 400 and not body:find('{operation.expected}', 1, true) then wrong = wrong + 1 end
    end
  end
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '{{"requests": %d, "seconds": %f, "errors": %d, "p50": %f, "p99": %f, "wrong": %d}}',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, threads[1]:get("wrong")))
end
"""
    )
    return script


def measure(server: Server, run: Run, script: Path, scenario: Scenario) -> Result:
    """Warm up, then load and count."""
    looked = wrk(run, script, scenario.connections, _WARM_UP_SECONDS, look=True)
    time.sleep(_REST_SECONDS)
    before = server.cpu_seconds()
    seen = wrk(run, script, scenario.connections, scenario.seconds)
    cpu = server.cpu_seconds() - before
    good = max(seen["requests"] - seen["errors"], 1)
    return Result(
        good / seen["seconds"],
        1000 * cpu / good,
        seen["p50"],
        seen["p99"],
        int(seen["errors"]),
        server.rss_mb(),
        int(looked["wrong"]),
    )
