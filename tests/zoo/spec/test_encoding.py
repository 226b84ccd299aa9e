"""The spec as JSON, and back."""

import dataclasses
import json
from typing import Any

import pytest

from models import off, setting, since, vanilla
from tests.zoo.spec.zoos import small
from zoo import Training, Zoo
from zoo.spec.cohorts import _static
from zoo.spec.encoding import canonical_json, differences, from_json, to_json
from zoo.spec.fields import fields_of


def test_json_both_ways_gives_the_same_members() -> None:
    zoo = small() + small(model=vanilla.Model(hidden=32), seeds=[9])
    again = Zoo.from_json(json.loads(json.dumps(zoo.to_json())))
    assert [m.id for m in again.members] == [m.id for m in zoo.members]
    assert again == zoo


def test_differences_name_the_path() -> None:
    a, b = small().to_json(), small(seeds=range(4)).to_json()
    assert [path for path, _, _ in differences(a, b)] == ["grids[0].seeds"]


def test_a_field_that_came_later_changes_no_id_no_json_and_no_cohort_at_its_default() -> None:
    def class_with(**extra: Any) -> Any:
        annotations = {"hidden": int, **{name: kind for name, (kind, _) in extra.items()}}
        body = {"hidden": setting(4), "__annotations__": annotations, **{name: v for name, (_, v) in extra.items()}}
        cls = dataclasses.dataclass(frozen=True)(type("Model", (), body))
        cls.__module__ = "models.late"
        return cls

    before = class_with()
    after = class_with(
        form=(str, since(setting("old", choices=("old", "new")))),
        rate=(float, since(2.0)),
        noise=(float, since(off(0.0))),
    )
    assert to_json(after()) == to_json(before())
    assert _static(after()) == _static(before())
    assert canonical_json(after(rate=3.0)) != canonical_json(before())
    assert to_json(after(form="new"))["form"] == "new"
    assert _static(after(rate=3.0)) == _static(before()), "a float splits no cohort"
    assert _static(after(noise=0.1)) != _static(before())
    assert fields_of(after)["noise"].off == 0.0


def test_the_rule_that_training_once_had_stays_in_its_json() -> None:
    assert to_json(Training())["rule"] == "bptt"
    assert from_json("training", to_json(Training(steps=3))) == Training(steps=3)
    with pytest.raises(ValueError, match=r"Training\.rule is a field of another version"):
        from_json("training", {"rule": "force"})
