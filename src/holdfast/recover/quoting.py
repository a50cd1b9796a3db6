"""Foreign text in Markdown: always within a quotation that it cannot leave.

What agents, tools and files said stands between fences longer than any run of backticks in it, or, where it is short, in a code
span that is. Characters that act unseen are made visible first; of line ends only LF is left, so that nothing but a line of ours can
begin a line outside.
"""

from __future__ import annotations

import re

from holdfast.visible import visible

_BACKTICKS = re.compile(r"`+")
_LEAST_FENCE = 3


def block(text: str) -> str:
    """Several lines, between fences; ends without a line end."""
    inside = visible(text.replace("\r\n", "\n"), keep="\n\t")
    fence = "`" * max(_LEAST_FENCE, _longest(inside) + 1)
    return f"{fence}text\n{inside}\n{fence}"


def inline(text: str) -> str:
    r"""One line, as a code span; line ends are shown as `\x0a`. Nothing at all becomes a span with a space."""
    inside = visible(text.strip())
    ticks = "`" * (_longest(inside) + 1)
    pad = " " if not inside or "`" in (inside[0], inside[-1]) else ""
    return f"{ticks}{pad}{inside}{pad}{ticks}"


def _longest(text: str) -> int:
    return max((len(run) for run in _BACKTICKS.findall(text)), default=0)
