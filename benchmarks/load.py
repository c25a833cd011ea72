"""Load by wrk, which keeps a number of connections busy, and what came of it."""

import json
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.contestants import Headers, Run, bearer
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
    """

    delay: float
    connections: int
    seconds: int


@dataclass(frozen=True)
class Result:
    """One contestant in one scenario and round.

    Attributes:
        per_second: answers with 201 (nginx: 200) a second.
        cpu_ms: CPU of the server's processes in milliseconds for each such answer.
        p50_ms: half of the answers took no longer.
        p99_ms: 99 of 100 took no longer.
        errors: answers of another status, and broken or late ones.
        wrong: of the answers to the warm-up, each of which is looked at, those without a session.
        rss_mb: memory of the server's processes at the end.
    """

    per_second: float
    cpu_ms: float
    p50_ms: float
    p99_ms: float
    errors: int
    rss_mb: float
    wrong: int = 0


def checked(run: Run, headers: Headers) -> None:
    """Make sure that one answer is right in full."""
    url = f"http://127.0.0.1:{run.port}/vault-session"
    answer = httpx.post(url, headers=dict(headers), timeout=30)
    body = answer.json()
    assert answer.is_success, answer.text
    assert body.get("session_token", "").count(".") == 2 or body["data"]["session_token"]


def wrk(
    run: Run, script: Path, connections: int, seconds: int, *, look: bool = False
) -> dict[str, float]:
    """Load for so long, look at each answer's body where asked to, and return what wrk says."""
    threads = "1"
    command = ["taskset", "-c", LOAD_CORE, "wrk", "-t", threads, "-c", str(connections)]
    command += ["-d", f"{seconds}s", "--timeout", "20s", "-s", str(script)]
    command += [f"http://127.0.0.1:{run.port}/vault-session", "--", "look" if look else ""]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found: dict[str, float] = json.loads(out[out.index("{") :])
    return found


def lua(folder: Path, tokens: list[str], headers: Callable[[str], Headers] = bearer) -> Path:
    """Write what has wrk use the tokens in turn, and say what it saw as JSON."""
    (folder / "tokens.txt").write_text("\n".join(tokens))
    script = folder / "load.lua"
    names = "\n".join(
        f'  h["{name}"] = ("{value}"):gsub("TOKEN", token)'
        for name, value in headers("TOKEN").items()
    )
    script.write_text(
        f"""
wrk.method = "POST"
local tokens, at = {{}}, 0
for line in io.lines("{folder}/tokens.txt") do tokens[#tokens + 1] = line end
local requests = {{}}
local function made(token)
  local h = {{}}
{names}
  return wrk.format(nil, nil, h)
end
function request()
  at = at % #tokens + 1
  requests[at] = requests[at] or made(tokens[at])
  return requests[at]
end
local threads = {{}}
function setup(thread) threads[#threads + 1] = thread end
function init(arguments)
  wrong = 0
  -- Asked for each answer, which costs wrk so much that only warming up does it.
  if arguments[1] == "look" then
    function response(status, _, body)
      if status < 400 and not body:find('"session_token"', 1, true) then wrong = wrong + 1 end
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
