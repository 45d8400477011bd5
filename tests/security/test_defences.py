"""Every line of the threat model has a defence that can be taken away, and a test that sees it."""

import re

import pytest

from tests.bench.tables import REPOSITORY
from tests.security.__main__ import taken_from
from tests.security.defences import DEFENCES, Defence

THREATS = re.findall(r"^\| ([^|]+) \| [^|]+ \| `", (REPOSITORY / "SECURITY.md").read_text(), re.M)


def test_every_line_of_the_threat_model_has_a_defence() -> None:
    assert len(THREATS) > 20
    missing = [line for line in THREATS if not any(line.startswith(d.threat) for d in DEFENCES)]
    assert missing == []


@pytest.mark.parametrize("defence", DEFENCES, ids=lambda d: f"{d.file}: {d.code[:40]}")
def test_a_defence_is_where_it_is_said_to_be(defence: Defence) -> None:
    assert any(line.startswith(defence.threat) for line in THREATS)
    text = (REPOSITORY / defence.file).read_text("utf-8")
    assert taken_from(defence, text) != text
    file, _, test = defence.test.partition("::")
    assert f"def {test.partition('[')[0]}(" in (REPOSITORY / file).read_text("utf-8")
