"""The packet of every recorded scenario stands in `tests/recover/packets`, as it was read and found good.

To renew them after a change that is meant: `RENEW_PACKETS=1 python -m pytest tests/recover/test_golden_packets.py`, then
read what `git diff tests/recover/packets` shows as the agent that must carry on with nothing else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.e2e.conftest import CAPTURED, SCENARIOS, ask

GOLDEN = Path(__file__).resolve().parent / "packets"
CODEX = CAPTURED.parent / "codex"
SOURCES = {name: CAPTURED / name / "transcript" for name in SCENARIOS} | {
    f"codex-{path.name}": path / "sessions" for path in sorted(CODEX.iterdir())
}
RENEW = "RENEW_PACKETS"
pytestmark = pytest.mark.skipif(
    Path("/home/dev/demo").exists(), reason="the recordings' directory exists here"
)


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SOURCES)
def test_the_packet_of_a_scenario_is_as_it_was_read(home, scenario):
    ask(home, ["import", str(SOURCES[scenario])])
    [listed] = ask(home, ["sessions", "--json"])
    ids = sorted(session["id"] for session in json.loads(listed)["sessions"])
    made = "\n".join(ask(home, *(["handoff", name] for name in ids)))
    path = GOLDEN / f"{scenario}.md"
    if os.environ.get(RENEW):
        path.parent.mkdir(exist_ok=True)
        path.write_text(made, encoding="utf-8")
    assert made == path.read_text(encoding="utf-8"), f"{RENEW}=1 renews it"


def test_no_golden_packet_is_of_no_scenario():
    assert {path.stem for path in GOLDEN.iterdir()} == set(SOURCES)
