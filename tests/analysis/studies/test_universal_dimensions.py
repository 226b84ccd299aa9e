"""Answers of the study of universal dimensions: copies before training, networks that are dead, tasks apart."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.studies import universal_dimensions as study
from analysis.studies._answers import AGREES
from analysis.studies._results import ALL, Results

RATES, SEEDS = [0.001, 0.002, 0.003, 0.004, 0.005, 0.006], 4


class Planted(Results):
    """Networks of `tasks` at six learning rates, four seeds each."""

    def __init__(self, *tasks: str):
        rows = [(task, rate, seed) for task in tasks for rate in RATES for seed in range(SEEDS)]
        table = pd.DataFrame(rows, columns=["task", "learning_rate", "seed"])
        table = table.assign(member=[f"m{i}" for i in range(len(rows))], model="vanilla", status="solved")
        super().__init__(SimpleNamespace(members=table), ALL)  # pyright: ignore[reportArgumentType]


def shown(results: Planted, dead: tuple[str, ...] = (), shared: dict[str, int] | None = None) -> Any:
    """What networks show: trained ones share `shared` directions, untrained ones one; these are copies at one seed."""

    def representations(trained: Any, task: str, untrained: bool) -> Any:
        table = results.members[results.members["task"] == task]
        rng = np.random.default_rng(len(task))
        common = rng.normal(size=(40, 8))
        labels, arrays, copies = [], [], {}
        for member, seed in zip(table["member"], table["seed"]):
            for is_trained in (True, False) if untrained else (True,):
                firsts = table["member"].iloc[:SEEDS].tolist()
                if not is_trained and member not in firsts:
                    copies[f"{member}/rate/untrained"] = f"{firsts[seed]}/rate/untrained"
                    continue
                count = (shared or {}).get(task, 6) if is_trained else 1
                x = np.concatenate([3 * common[:, :count], rng.normal(size=(40, 12 - count))], 1)
                x = np.full_like(x, np.nan) if member in dead[:1] else np.ones_like(x) if member in dead else x
                labels.append({"member": member, "layer_depth": 0, "trained": is_trained})
                arrays.append(x)
        names = [f"{row['member']}/rate{'' if row['trained'] else '/untrained'}" for row in labels]
        group = SimpleNamespace(names=names, labels=pd.DataFrame(labels), array=arrays)
        return SimpleNamespace(groups=[group], copies=copies)

    return representations


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(study, "tested_fields", lambda trained, ids: ["learning_rate"])

    def make(*tasks: str, **more: Any) -> Planted:
        results = Planted(*tasks)
        monkeypatch.setattr(study, "representations", shown(results, **more))
        return results

    return make


def test_what_is_gained_has_limits_over_configurations_though_networks_began_as_copies(
    planted: Any,
) -> None:
    answer = study._more_than_untrained(planted("flipflop"), 10)
    assert answer.verdict == AGREES
    assert answer.n == len(RATES)
    assert answer.low < answer.value < answer.high


@pytest.mark.long
def test_limits_cover_the_value_that_other_networks_would_give() -> None:
    """A configuration that is left out predicts no more, too: as a target alone limits were half as wide."""
    values, covered = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        common = np.random.default_rng(0).normal(size=(40, 6))
        shared = [common @ rng.normal(size=(6, 10)) * rng.uniform(0.2, 1.5) for _ in range(12)]
        patterns = [rng.normal(size=(40, 10)) + part for part in shared]
        found = study.universality(patterns, 5)
        names = [f"c{i}" for i in range(12)]
        given = study._Found(found.by_predictor, found.share, found.kept, np.full(12, "t"), names, 0)
        estimate = study._mean(lambda rows, of=given: of.index(rows), given).estimate
        values.append(estimate.value)
        covered.append((estimate.low, estimate.high))
    true = np.mean(values)
    assert np.mean([low <= true <= high for low, high in covered]) >= 0.9


def test_dead_networks_are_left_out_and_counted(planted: Any) -> None:
    answer = study._falls_with_rank(planted("flipflop", dead=("m3", "m5")), 10)
    assert answer.because.endswith("2 with constant or no finite activity left out")
    with pytest.raises(ValueError, match="No task has three of these networks"):
        study._falls_with_rank(planted("flipflop", dead=tuple(f"m{i}" for i in range(22))), 10)


def test_what_counts_as_universal_is_a_level_for_every_task(planted: Any) -> None:
    results = planted("sine", "flipflop", shared={"sine": 2, "flipflop": 6})
    both = study._fewer_than(results, 10)
    assert set(study._found(results, 10).tasks) == {"sine", "flipflop"}
    alone = {task: study._fewer_than(planted(task, shared={task: n}), 10) for task, n in (("sine", 2), ("flipflop", 6))}
    assert both.value == pytest.approx(np.mean([answer.value for answer in alone.values()]))
