"""The spec as JSON, and back."""

import json

from models import vanilla
from tests.zoo.spec.zoos import small
from zoo import Zoo
from zoo.spec.encoding import differences


def test_json_both_ways_gives_the_same_members() -> None:
    zoo = small() + small(model=vanilla.Model(hidden=32), seeds=[9])
    again = Zoo.from_json(json.loads(json.dumps(zoo.to_json())))
    assert [m.id for m in again.members] == [m.id for m in zoo.members]
    assert again == zoo


def test_differences_name_the_path() -> None:
    a, b = small().to_json(), small(seeds=range(4)).to_json()
    assert [path for path, _, _ in differences(a, b)] == ["grids[0].seeds"]
