"""Which metrics a Prometheus query selects, and whether the service exports them."""

import re
from collections.abc import Iterator, Mapping

import promql_parser
from promql_parser import Expr, Matcher, MatchOp, VectorSelector

from app.apideck.collector import ApideckCollector
from app.identity.collector import JwksCollector
from app.observability.metrics import Metrics

# Labels that Prometheus adds to every series it scrapes.
TARGET = frozenset({"job", "namespace", "pod", "instance"})
_PARTS = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def series() -> dict[str, frozenset[str]]:
    """Return the labels of every series that the service exports, by the name of the series."""
    metrics = Metrics()
    metrics.registry.register(JwksCollector([]))
    metrics.registry.register(ApideckCollector({}))
    labels = _labels(metrics)
    found = {"up": TARGET}
    for family in metrics.registry.collect():
        if not family.name.startswith("vault_bff_"):
            continue  # A metric of prometheus_client.
        for suffix in _PARTS[family.type]:
            bound = {"le"} if suffix == "_bucket" else set()
            found[family.name + suffix] = TARGET | labels[family.name] | bound
    return found


def _labels(metrics: Metrics) -> dict[str, frozenset[str]]:
    return {
        family.name: frozenset(
            # If a collector has several families, each family has its own labels.
            vars(collector if hasattr(collector, "_labelnames") else family).get("_labelnames", ())
        )
        for collector in metrics.registry._collector_to_names
        for family in collector.collect()
    }


def selectors(query: str) -> Iterator[VectorSelector]:
    """Yield every selector of a query.

    Raises:
        ValueError: the query is invalid.
    """
    found: list[VectorSelector] = []

    def visit(expression: Expr) -> None:
        if isinstance(expression, VectorSelector):
            found.append(expression)

    promql_parser.walk(promql_parser.parse(query), visit)
    yield from found


def unknown(query: str, known: Mapping[str, frozenset[str]]) -> list[str]:
    """Return the series and labels of a query that do not exist."""
    faults = []
    for selector in selectors(query):
        name = selector.name or ""
        if name not in known:
            faults.append(name)
            continue
        wanted = {matcher.name for matcher in selector.matchers.matchers}
        faults += [f"{name}{{{label}}}" for label in sorted(wanted - known[name])]
    return faults


def matches(selector: VectorSelector, labels: Mapping[str, str]) -> bool:
    """Tell whether a selector matches a series; labels that Prometheus adds are ignored."""
    return selector.name == labels["__name__"] and all(
        _matches_value(matcher, labels.get(matcher.name, ""))
        for matcher in selector.matchers.matchers
        if matcher.name not in TARGET
    )


def _matches_value(matcher: Matcher, value: str) -> bool:
    found = (
        re.fullmatch(matcher.value, value) is not None
        if matcher.op in (MatchOp.Re, MatchOp.NotRe)
        else matcher.value == value
    )
    return found == (matcher.op in (MatchOp.Re, MatchOp.Equal))
