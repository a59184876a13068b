"""Text for terminals: control characters of file names and of untrusted files are written as escapes."""

from __future__ import annotations

import re

_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""One line in which a control character, such as a line break, is shown as ``\n`` or ``\x1b``."""
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


def visible_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))
