"""A study that is killed in any of its stages goes on where it was, and finds the same."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.zoo_study import CLAIMS
from tests.faults import rig

STAGES = {
    "before training": "members to train",
    "in a comparison": "digits:",
    "in an assay": "dimensionality",
    "in the next": "fixed_points",
    "in the report": "figures",
}


def run(out: Path, words: str = "") -> subprocess.Popen[str]:
    return rig.start([sys.executable, "tests/faults/studied.py", str(out), words])


@pytest.mark.long
def test_a_study_that_is_killed_in_each_of_its_stages_ends_with_the_same_claims(tmp_path: Path) -> None:
    rig.finished(run(tmp_path / "whole"))
    for stage, words in STAGES.items():
        text = rig.finished(run(tmp_path / "zoo", words), status=-signal.SIGKILL)
        assert not (tmp_path / "zoo" / CLAIMS).exists(), f"killed {stage}, it was done: {text}"
    text = rig.finished(run(tmp_path / "zoo"))
    assert "dimensionality: was done before" in text
    assert (tmp_path / "zoo" / CLAIMS).read_bytes() == (tmp_path / "whole" / CLAIMS).read_bytes()
    rig.assert_same(rig.everything(tmp_path / "zoo"), rig.everything(tmp_path / "whole"))
