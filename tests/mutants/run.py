"""Runs mutmut, prints a score for each module, and fails below a minimum.

`make mutants` runs this script. Arguments are names of mutants, with asterisks as wildcards; by
default all mutants are tested. pyproject.toml lists the mutated files, and the tests that must
detect the mutants. `mutmut show NAME` prints a mutant. Most mutants that survive change a text, or
the case of a name that is not case-sensitive.
"""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
MUTMUT = Path(sys.executable).with_name("mutmut")
MINIMUM = 94.0
"""The percentage of mutants that the tests must detect."""
KILLED = frozenset({"killed", "timeout", "segfault", "caught by type check"})


def results() -> dict[str, str]:
    """Return the result of each mutant."""
    command = [str(MUTMUT), "results", "--all", "true"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pairs = (line.strip().partition(": ") for line in printed.splitlines())
    return {name: result for name, colon, result in pairs if colon}


def main() -> int:
    """Run mutmut, print the results, and return the exit status."""
    if len(sys.argv) == 1:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    subprocess.run([MUTMUT, "run", *sys.argv[1:]], cwd=ROOT, check=True)
    tested = {name: result for name, result in results().items() if result != "not checked"}
    killed, total = Counter[str](), Counter[str]()
    for name, result in tested.items():
        module = name.rpartition(".")[0]
        total[module] += 1
        killed[module] += result in KILLED
    print("\n".join(f"survived: {name}" for name in tested if tested[name] not in KILLED))  # noqa: T201
    for module in sorted(total):
        share = 100 * killed[module] / total[module]
        print(f"{module:40} {killed[module]:4} of {total[module]:4}  {share:5.1f} %")  # noqa: T201
    score = 100 * killed.total() / max(total.total(), 1)
    print(f"{'all':40} {killed.total():4} of {total.total():4}  {score:5.1f} %")  # noqa: T201
    return int(score < MINIMUM)


if __name__ == "__main__":
    sys.exit(main())
