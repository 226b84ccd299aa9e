"""Everything in a result file says what it is and in which units."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import models
from analysis.comparison import Choices, comparison_of
from analysis.long_names import MILLISECONDS, TIME_STEPS, described, units_of_field
from tests.analysis import compared_items
from zoo.spec.fields import fields_of
from zoo.spec.settings import Training

ROOT = Path(models.__file__).parent.parent


def documented():
    """Field -> what its class says of it, of all models, tasks, rules and of training."""
    parts = {"models": "Model", "zoo/tasks": "Task", "zoo/rules": "Rule"}
    for folder, name in parts.items():
        for path in sorted((ROOT / folder).glob("[!_]*.py")):
            cls = getattr(importlib.import_module(f"{folder.replace('/', '.')}.{path.stem}"), name)
            yield from ((cls, *pair) for pair in sentences(cls))
    yield from ((Training, *pair) for pair in sentences(Training))


def sentences(cls):
    found = re.findall(r"^ +([\w, ]+): (.*(?:\n {8,}\S.*)*)", cls.__doc__ or "", re.MULTILINE)
    return [(field, text) for names, text in found for field in names.split(", ") if field in fields_of(cls)]


def test_the_units_of_fields_are_those_that_their_classes_document():
    named = {"ms": set(), "steps": set()}
    for cls, field, text in documented():
        milliseconds = bool(re.search(r"\bms\b", text))
        steps = bool(re.match(r"((time |optimisation )?steps|pulls)\b", text))
        unit = "ms" if milliseconds else "steps" if steps else "1"
        assert units_of_field(field) == unit, f"{cls.__module__}.{field}: {text}"
        if unit in named:
            named[unit].add(field)
    assert named == {"ms": set(MILLISECONDS), "steps": set(TIME_STEPS)}


def test_every_variable_and_coordinate_of_a_comparison_is_named_and_has_units():
    result = comparison_of(compared_items.zoo(), ["cka(biased)", "rsa"], [], Choices(nulls=19)).dataset()
    assert {"cka_chance", "cka_z", "rsa_p", "layer_a"} <= set(result.variables)
    for name, variable in result.variables.items():
        assert variable.attrs["long_name"], name
        assert variable.attrs["units"] == "1", name
    assert result["rsa"].attrs["long_name"] == "rsa(rdm=correlation, compare=spearman), a similarity"
    assert result["member_b"].attrs["long_name"] == "id of the network of b"
    assert result["model.noise_a"].attrs["long_name"] == "model.noise, of the spec of a"


def test_names_and_units_that_are_there_stay_and_the_dataset_that_is_given_does_not_change():
    own = {"long_name": "firing rate", "units": "Hz"}
    given = xr.Dataset({"rate": ("member", np.ones(2), own)}, {"member": ["a", "b"], "tau": ("member", [1.0, 2.0])})
    result = described(given)
    assert result["rate"].attrs == own
    assert result["tau"].attrs == {"long_name": "tau, of the spec", "units": "ms"}
    assert result["member"].attrs == {"long_name": "id of the network", "units": "1"}
    assert given["tau"].attrs == {}


@pytest.mark.parametrize(("name", "unit"), [("model.tau", "ms"), ("training.steps", "steps"), ("hidden", "1")])
def test_a_field_with_the_name_of_its_part_has_its_unit(name, unit):
    assert units_of_field(name) == unit
