"""Text for terminals: invisible characters of file names and of untrusted files are written as escapes."""

from __future__ import annotations

# Unicode's categories of controls, marks of direction and joining, surrogates, and line breaks.
_INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def visible(text: str) -> str:
    r"""One line in which an invisible character, such as a line break, is shown as ``\n`` or ``\u200f``."""
    if text.isprintable():  # true of nearly every text, and fast
        return text
    from unicodedata import category

    return "".join(repr(one)[1:-1] if category(one) in _INVISIBLE else one for one in text)


def visible_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))
