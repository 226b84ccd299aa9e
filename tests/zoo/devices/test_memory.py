"""How much memory a block may take."""

from pathlib import Path

import pytest

from zoo.devices import memory

LIMIT = {"memory.max": "1000", "memory.current": "700", "memory.stat": "anon 5\nactive_file 50\ninactive_file 150"}


OLD = {
    "memory.limit_in_bytes": "900",
    "memory.usage_in_bytes": "850",
    "memory.stat": "inactive_file 7\ntotal_inactive_file 30\ntotal_active_file 20",
}


@pytest.mark.parametrize(
    ("own", "place", "files", "free"),
    [
        ("0::/", "", LIMIT, 500),
        ("0::/queue/step/task", "queue", LIMIT, 500),
        ("0::/queue", "queue", {**LIMIT, "memory.max": "max"}, None),
        ("3:cpu,memory:/slurm/7\n0::/", "memory/slurm/7", OLD, 100),
        ("", "", LIMIT, 500),
        ("0::/elsewhere", "queue", LIMIT, None),
    ],
)
def test_a_container_limits_the_memory_of_a_block(
    own: str, place: str, files: dict[str, str], free: int | None, tmp_path: Path
) -> None:
    (tmp_path / "groups" / place).mkdir(parents=True)
    for name, text in files.items():
        (tmp_path / "groups" / place / name).write_text(text)
    (tmp_path / "own").write_text(own)
    found = memory.container(tmp_path / "groups", tmp_path / "own")
    assert found == free if free is not None else found > 2**60
