"""What tests of redaction share."""

from __future__ import annotations

import pytest

from holdfast.redact import redactor


@pytest.fixture(autouse=True, scope="module")
def _patient(request):
    """What is asked here is what is found, and not how fast: this process holds much, and may be late for a field twice."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith("test_redos"):
            patch.setattr(redactor, "LIMIT_S", 10.0)
        yield
