"""Runs mutmut, and fails when too many mutants live, or one without an explanation.

`make mutants` is the command. Arguments are names of mutants, with asterisks: without any, all of
them are made. What is mutated and which tests have to notice stands in pyproject.toml.

survivors.txt lists those that live, each behind the reason why that is no hole. mutmut numbers the
mutants of a function, so a change of one shows its lines here again.
"""

import fnmatch
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MUTMUT = Path(sys.executable).with_name("mutmut")
WANTED = 90.0
KILLED = frozenset({"killed", "timeout", "segfault", "caught by type check"})


def explained() -> set[str]:
    """Return the patterns of the mutants that are known to live."""
    lines = (HERE / "survivors.txt").read_text().splitlines()
    return {line.strip() for line in lines if line.strip() and not line.startswith("#")}


def results() -> dict[str, str]:
    """Return what became of each mutant."""
    command = [str(MUTMUT), "results", "--all", "true"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pairs = (line.strip().partition(": ") for line in told.splitlines())
    return {name: fate for name, colon, fate in pairs if colon}


def main() -> int:
    """Run mutmut, print a score for each module, and return the exit status."""
    if len(sys.argv) == 1:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
    subprocess.run([MUTMUT, "run", *sys.argv[1:]], cwd=ROOT, check=True)
    made = {name: fate for name, fate in results().items() if fate != "not checked"}
    killed, every = Counter[str](), Counter[str]()
    for name, fate in made.items():
        module = name.rpartition(".")[0]
        every[module] += 1
        killed[module] += fate in KILLED
    for module in sorted(every):
        share = 100 * killed[module] / every[module]
        print(f"{module:32} {killed[module]:4} of {every[module]:4}  {share:5.1f} %")  # noqa: T201
    score = 100 * killed.total() / max(every.total(), 1)
    print(f"{'all':32} {killed.total():4} of {every.total():4}  {score:5.1f} %")  # noqa: T201
    known = explained()
    unexplained = [
        name
        for name, fate in made.items()
        if fate not in KILLED and not any(fnmatch.fnmatchcase(name, one) for one in known)
    ]
    print("\n".join(f"lives without an explanation: {name}" for name in unexplained))  # noqa: T201
    return int(score < WANTED or bool(unexplained))


if __name__ == "__main__":
    sys.exit(main())
