"""The ways to identify callers, one module for each.

A module has a function `build(settings, fetcher)`, which yields a source for each entry in the
settings of its kind. Being in this package is enough: there is no list to add it to.
"""

from collections.abc import Iterable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Protocol, cast

from ...settings import IdentitySettings
from ..fetch import Fetcher
from ..source import Source


class SourceModule(Protocol):
    """What a module in this package provides."""

    def build(self, settings: IdentitySettings, fetcher: Fetcher) -> Iterator[Source]:
        """Yield a source for each entry in the settings of this kind.

        Args:
            settings: the settings of every source.
            fetcher: sends requests; none is sent while sources are built.
        """


def find_modules(path: Iterable[str]) -> tuple[SourceModule, ...]:
    """Return every module of this package, in the order of their names.

    Args:
        path: the folders of the package.
    """
    names = sorted(module.name for module in iter_modules(path))
    return tuple(cast("SourceModule", import_module(f"{__name__}.{name}")) for name in names)


MODULES = find_modules(__path__)


def build_sources(settings: IdentitySettings, fetcher: Fetcher) -> Iterator[Source]:
    """Yield every configured source."""
    for module in MODULES:
        yield from module.build(settings, fetcher)
