"""The public names of declarations and vocabulary, for plugins."""

from __future__ import annotations

from toolkit.declarations import *  # noqa: F403 - the same names, under their public address
from toolkit.declarations import __all__ as _declared
from toolkit.vocabulary import *  # noqa: F403
from toolkit.vocabulary import __all__ as _spoken

__all__ = [*_declared, *_spoken]
