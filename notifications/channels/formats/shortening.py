"""Texts that are too long for a channel. Pure."""

import re
from bisect import bisect_left
from collections.abc import Callable

_CHINESE = re.compile("[\u4e00-\u9fff]")


def shortened(text: str, fits: Callable[[str], bool]) -> str:
    """A text, or the whole lines of it that fit together with a line that says where the rest is.

    Of a text without a line that fits, the characters that do.

    Args:
        fits: holds for every beginning of a text for which it holds.
    """
    if fits(text):
        return text
    rest = "……其余请在钱包“消息”中查看。" if _CHINESE.search(text) else "... The rest is in the inbox of your wallet."
    lines = text.split("\n")
    whole = _most(len(lines) - 1, lambda kept: fits("\n".join([*lines[:kept], rest])))
    if whole:
        return "\n".join([*lines[:whole], rest])
    return text[: _most(len(text), lambda length: fits(text[:length] + rest))] + rest


def _most(limit: int, holds: Callable[[int], bool]) -> int:
    """The greatest number up to a limit for which something holds that holds for all smaller ones; 0 if for none."""
    return bisect_left(range(1, limit + 1), True, key=lambda number: not holds(number))
