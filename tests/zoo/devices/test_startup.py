"""One CPU device serves all lanes."""

from pathlib import Path

from tests.faults import rig


def test_a_program_is_compiled_once_for_all_lanes_of_a_cpu(tmp_path: Path) -> None:
    words = rig.command("rnn", tmp_path / "zoo", "--block", "1", "--training.steps", "3")
    rig.finished(rig.start(words, JAX_NUM_CPU_DEVICES="4", XDG_CACHE_HOME=str(tmp_path)))
    kept = (tmp_path / "model-zoo" / "programs").glob("*-cache")
    assert sorted(file.name.split("-")[0] for file in kept) == ["jit__initial", "jit_mapped"]
