"""The estimate of tokens, against what a model counted in real sessions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.recover import tokens
from tests.conftest import REPO_ROOT, SHARED_DATA

LONG_CHARS = 2_000
PAGE = REPO_ROOT / "docs" / "explanation" / "packets.md"


@given(st.text(), st.text())
def test_parts_take_no_less_than_the_whole(one, other):
    assert tokens.estimate(one + other) <= tokens.estimate(one) + tokens.estimate(other)
    assert tokens.estimate(one) <= tokens.estimate(one + other)


@given(st.text(min_size=1))
def test_every_character_counts(text):
    assert tokens.estimate(text) >= 1
    assert tokens.estimate(text) <= 3 * len(text) + 1


def test_the_page_states_the_rates():
    said = dict(re.findall(r"^\| .* \| `(\w+)` \| (\d+) \|$", PAGE.read_text("utf-8"), re.MULTILINE))
    assert {kind: int(rate) for kind, rate in said.items()} == tokens.RATES


def steps(path):
    """(tokens that a model call had more than the one before it, what stood between), where all of that is text in the transcript."""
    before, name, between, plain = None, None, [], True
    for line in path.read_text("utf-8", "replace").splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        message = record.get("message") or {}
        if record.get("isSidechain") or record.get("type") not in {"user", "assistant"}:
            continue
        usage = message.get("usage") or {}
        if record["type"] == "assistant" and message.get("id") != name:
            total = sum(
                usage.get(key) or 0
                for key in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
            )
            if before is not None and plain and total > before:
                yield total - before, "".join(between)
            before, name, between, plain = total, message.get("id"), [], message.get("model") != "<synthetic>"
        plain = (
            said(message.get("content"), between)
            and plain
            and not record.get("isMeta")
            and not record.get("isCompactSummary")
        )


def said(content, out):
    """Add the texts of a message; whether they are all there is."""
    if isinstance(content, str):
        out.append(content)
        return True
    whole = True
    for block in content or []:
        if block.get("type") == "text":
            out.append(block["text"])
        elif block.get("type") == "tool_use":
            out.append(block["name"] + json.dumps(block["input"], ensure_ascii=False))
        elif block.get("type") == "tool_result":
            whole = said(block.get("content"), out) and whole
        else:
            whole = False
    return whole


@pytest.mark.slow
@pytest.mark.needs_shared
def test_real_sessions_took_fewer_tokens_than_estimated():
    """What tools add without writing it down counts against the estimate, and still it holds."""
    files = sorted(Path(SHARED_DATA).glob("public-transcripts/claude-projects/*/*.jsonl"))
    found = [
        (took, tokens.estimate(text))
        for path in files
        for took, text in steps(path)
        if len(text) >= LONG_CHARS
    ]
    shares = sorted(took / estimated for took, estimated in found)
    print(
        f"{len(found)} steps, median {shares[len(shares) // 2]:.2f}, at or under {sum(s <= 1 for s in shares) / len(shares):.2f}, "
        f"nine in ten under {shares[len(shares) * 9 // 10]:.2f}, all together {sum(t for t, _ in found) / sum(e for _, e in found):.2f}"
    )
    assert len(found) > 150
    assert sum(took for took, _ in found) < sum(estimated for _, estimated in found)
    assert sum(share <= 1 for share in shares) / len(shares) > 0.8
