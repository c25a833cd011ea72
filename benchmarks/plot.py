"""Draws the results of `make bench` for the README: `make plot`."""

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PICTURE = HERE.parent / "docs" / "images" / "performance.svg"
_OURS, _SAME_WORK, _NO_WORK = "#0f766e", "#a8a29e", "#e7e5e4"
# Names in the results, and their titles in the picture.
_CPU = {
    "vault-bff, token seen for the first time": "Vault BFF",
    "careful FastAPI, token seen for the first time": "FastAPI, same work",
    "careful Fastify, token seen for the first time": "Fastify, same work",
    "starlette-aiohttp, no checks": "Starlette, no work",
}
_GOODPUT = {
    "vault-bff, tokens cold": "Vault BFF",
    "careful FastAPI": "FastAPI, same work",
    "careful Fastify": "Fastify, same work",
    "starlette-aiohttp": "Starlette, no work",
    "node-sdk": "Fastify with the SDK, no work",
}


def _color(title: str) -> str:
    if title == "Vault BFF":
        return _OURS
    return _NO_WORK if title.endswith("no work") else _SAME_WORK


def _bars(panel: Axes, values: dict[str, float], title: str, labels: str) -> None:
    """Draw a bar for each contestant; the first is on top."""
    names = list(values)[::-1]
    colors = [_color(one) for one in names]
    bars = panel.barh(names, [values[one] for one in names], color=colors)
    panel.bar_label(bars, fmt=labels, padding=3)
    panel.margins(x=0.2)
    panel.set_title(title, fontsize=10, loc="left")
    panel.spines[["top", "right"]].set_visible(False)


def main() -> None:
    """Draw the CPU of a request, and responses under load."""
    cpu: dict[str, list[float]] = json.loads((RESULTS / "cpu.json").read_text())["cpu_ms"]
    compared: dict[str, Any] = json.loads((RESULTS / "compare.json").read_text())["results"]
    figure, panels = plt.subplots(1, 2, figsize=(9.6, 2.4), layout="constrained")
    milliseconds = {title: statistics.median(cpu[name]) for name, title in _CPU.items()}
    _bars(panels[0], milliseconds, "CPU for a request, ms\n64 connections", "{:,.2f}")
    goodput = {
        title: statistics.median(one["per_second"] for one in compared["b-1000"][name])
        for name, title in _GOODPUT.items()
    }
    title = "Sessions a second\n1,000 connections, Apideck takes 300 ms"
    _bars(panels[1], goodput, title, "{:,.0f}")
    # Without the date, the same data result in the same file.
    figure.savefig(PICTURE, metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "vault-bff"
    main()
