"""Draws what `make bench` measured: `make plot`, from results/compare.json to docs/images."""

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt

HERE = Path(__file__).parent
DATA = HERE / "results" / "compare.json"
PICTURE = HERE.parent / "docs" / "images" / "performance.svg"
_OURS, _OTHERS = "#0f766e", "#a8a29e"
_PANELS = {
    "a-64": ("cpu_ms", "CPU a request, ms\n64 connections, upstream at once (log)"),
    "b-1000": ("per_second", "Good answers a second\n1,000 connections, upstream 300 ms (log)"),
}


def main() -> None:
    """Draw a panel for each of two scenarios, the best on top."""
    results: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(DATA.read_text())["results"]
    figure, panels = plt.subplots(1, len(_PANELS), figsize=(9.6, 2.9), layout="constrained")
    for panel, (scenario, (what, title)) in zip(panels, _PANELS.items(), strict=True):
        medians = {
            name: statistics.median(one[what] for one in rounds)
            for name, rounds in results[scenario].items()
        }
        names = sorted(medians, key=lambda name: medians[name], reverse=what == "cpu_ms")
        rounds = [[one[what] for one in results[scenario][name]] for name in names]
        bars = panel.barh(
            names,
            [medians[name] for name in names],
            # From the worst round to the best one.
            xerr=[
                [medians[name] - min(each) for name, each in zip(names, rounds, strict=True)],
                [max(each) - medians[name] for name, each in zip(names, rounds, strict=True)],
            ],
            error_kw={"ecolor": "#57534e", "elinewidth": 1, "capsize": 2},
            color=[_OURS if name.startswith("vault-bff") else _OTHERS for name in names],
        )
        panel.bar_label(bars, fmt="{:,.3g}" if what == "cpu_ms" else "{:,.0f}", padding=3)
        panel.set_xscale("log")
        panel.margins(x=0.2)
        panel.set_title(title, fontsize=10, loc="left")
        panel.spines[["top", "right"]].set_visible(False)
    # The same data make the same file.
    figure.savefig(PICTURE, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "vault-bff"
    main()
