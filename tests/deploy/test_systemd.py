"""The units of deploy/systemd, checked by systemd."""

import re
import shutil
import sys
import textwrap
from pathlib import Path

import pytest

from app.__main__ import MISCONFIGURED
from app.settings.limits import LimitSettings
from app.settings.server import ServerSettings
from tests.support.deployment import unknown_settings
from tests.support.tools import ROOT, run

UNITS = ROOT / "deploy" / "systemd"
COMMAND = "/opt/vault-bff/bin/vault-bff"
MAX_EXPOSURE = 20
"""In tenths of systemd's scale from 0 (safe) to 10 (unsafe); systemd calls up to 2 "OK"."""

pytestmark = pytest.mark.skipif(
    not shutil.which("systemd-analyze"), reason="needs systemd: apt-get install systemd"
)


@pytest.fixture(params=["vault-bff.service", "vault-bff@.service"])
def unit(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a copy of a unit with a command that exists on this machine."""
    copy: Path = tmp_path / request.param
    text = (UNITS / request.param).read_text()
    assert f"\nExecStart={COMMAND} serve\n" in text
    copy.write_text(text.replace(COMMAND, sys.executable))
    return copy


def values(unit: Path, name: str) -> list[str]:
    """Return the values of a directive."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), re.MULTILINE)


def test_systemd_accepts_the_unit(unit: Path) -> None:
    """Systemd reports no unknown directive and no invalid value."""
    verified = run("systemd-analyze", "verify", unit)

    assert (verified.returncode, verified.stderr) == (0, "")


def test_an_unknown_directive_is_detected(unit: Path) -> None:
    """The check above reports unknown directives."""
    unit.write_text(unit.read_text().replace("PrivateTmp", "PrivateTemp"))

    assert "PrivateTemp" in run("systemd-analyze", "verify", unit).stderr


def test_the_process_has_few_privileges(unit: Path) -> None:
    """The exposure level of `systemd-analyze security` is at most 2.0."""
    offline = ("--offline=true", "--no-pager", f"--threshold={MAX_EXPOSURE}")

    assert run("systemd-analyze", "security", *offline, unit).returncode == 0


def test_the_unit_matches_the_settings(unit: Path) -> None:
    """The unit loads each file in the settings, and its limits suffice for the defaults."""
    environment = dict(pair.split("=") for pair in values(unit, "Environment"))
    loaded = {pair.partition(":")[0] for pair in values(unit, "LoadCredential")}
    server, limits = ServerSettings(), LimitSettings()

    assert unknown_settings(list(environment)) == []
    assert set(environment.values()) == {f"%d/{name}" for name in loaded}
    assert values(unit, "RestartPreventExitStatus") == [str(MISCONFIGURED)]
    [stop_seconds] = values(unit, "TimeoutStopSec")
    assert int(stop_seconds) > server.shutdown_delay_seconds + server.shutdown_grace_seconds
    [files] = values(unit, "LimitNOFILE")
    assert int(files) > 2 * limits.max_in_flight + limits.max_waiting


def test_the_template_unit_differs_from_the_single_unit_only_in_its_paths() -> None:
    """A change to one unit must be made in the other, too."""
    single, instance = ((UNITS / f"vault-bff{at}.service").read_text() for at in ("", "@"))
    _, single = single.split("\n", 1)
    _, instance = instance.split("\n", 1)

    assert instance.replace("/%i/", "/").replace(" (%i)", "") == single


def test_systemd_accepts_the_lines_in_the_runbook(unit: Path) -> None:
    """The lines for a rotation of the key name an existing setting and a loaded credential."""
    page = (ROOT / "docs" / "runbook.md").read_text()
    [lines] = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    unit.write_text(unit.read_text() + textwrap.dedent(lines))

    verified = run("systemd-analyze", "verify", unit)

    assert (verified.returncode, verified.stderr) == (0, "")
    name, path = values(unit, "Environment")[-1].split("=")
    assert unknown_settings([name]) == []
    assert path.removeprefix("%d/") == values(unit, "LoadCredential")[-1].partition(":")[0]
