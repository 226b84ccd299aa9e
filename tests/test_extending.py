"""The files that docs/extending.md shows keep their contracts, work together, and do what they say."""

import importlib
import inspect
import re
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

import run_zoo
from analysis import artefacts
from analysis.report import figures
from analysis.zoo_assays import read_result
from models import vanilla
from tests.analysis import assayed_zoo
from tests.analysis.assays import test_assays
from tests.analysis.report.pages import test_pages
from tests.models import test_models
from tests.zoo.rules import test_rules
from tests.zoo.tasks import test_tasks
from tests.zoo.tasks.test_tasks import own_images  # noqa: F401, a fixture
from zoo import Training, Zoo, load, train
from zoo.rules import Context
from zoo.spec import own_parts
from zoo.store import manifest
from zoo.training.binding import Binder, floats_of

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```python\n# ([\w/]+)\.py\n(.*?)```", GUIDE, re.DOTALL))
TASK, MODEL, RULE, ASSAY, PAGE, STUDY, OWN = FILES
SMALL = Training(learning_rate=1e-2, steps=6, batch=8, evaluate_every=3)


def checks_of(tests: ModuleType, argument: str, like: str) -> list[Any]:
    """The tests that a file runs for every part of a folder, or for every one of the kind that a part is of.

    Args:
      tests: the file.
      argument: of the tests that take a part, the name by which they do.
      like: a part of the folder.
    """
    return [
        test
        for name, test in vars(tests).items()
        if name.startswith("test_")
        and argument in inspect.signature(test).parameters
        and all(like in mark.args[1] for mark in getattr(test, "pytestmark", ()))
    ]


CHECKS = [
    *((TASK, "task", check) for check in checks_of(test_tasks, "task", "flipflop")),
    *((MODEL, "file", check) for check in checks_of(test_models, "file", "vanilla")),
    *((RULE, "name", check) for check in checks_of(test_rules, "name", "bptt")),
    *((ASSAY, "name", check) for check in checks_of(test_assays, "name", "lesions")),
]


@pytest.fixture(scope="module", autouse=True)
def shown(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The guide's files, each in its folder beside all that lie there: path -> module."""
    place, modules = tmp_path_factory.mktemp("guide"), {}
    with pytest.MonkeyPatch.context() as patch:
        for path, code in FILES.items():
            if path == OWN:
                continue
            folder = path.rpartition("/")[0]
            (place / folder).mkdir(parents=True, exist_ok=True)
            for file in (ROOT / folder).glob("*.py"):
                (place / folder / file.name).symlink_to(file)
            (place / f"{path}.py").write_text(code)
            package: Any = importlib.import_module(folder.replace("/", "."))
            patch.setattr(package, "__path__", [str(place / folder)])
            patch.setattr(package.__spec__, "submodule_search_locations", [str(place / folder)])
            modules[path] = importlib.import_module(path.replace("/", "."))
        yield modules
    for path, module in modules.items():
        del sys.modules[module.__name__]
        delattr(sys.modules[path.rpartition("/")[0].replace("/", ".")], path.rpartition("/")[2])


@pytest.fixture(scope="module")
def assayed(shown: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A trained zoo under the guide's assay, by the command line."""
    zoo = tmp_path_factory.mktemp("assayed") / "zoo"
    shutil.copytree(assayed_zoo.directory(), zoo)
    assert run_zoo.main(["assay", str(zoo), "mean_rate"]) == 0
    return zoo


@pytest.mark.parametrize(("path", "argument", "check"), CHECKS)
def test_every_part_of_the_guide_passes_what_every_part_of_its_folder_has_to(
    path: str, argument: str, check: Any, shown: Any, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    if path == ASSAY:
        monkeypatch.setattr(test_assays, "assayed", lambda: request.getfixturevalue("assayed"))
    part = shown[path].Task() if path == TASK else path.rpartition("/")[2]
    names = inspect.signature(check).parameters
    check(**{name: part if name == argument else request.getfixturevalue(name) for name in names})


def test_the_page_of_the_guide_is_in_the_report_with_its_picture_and_lines(
    assayed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(figures.STYLE, "savefig.dpi", 20)
    test_pages.test_every_file_of_the_folder_is_a_page_that_says_what_it_is()
    test_pages.test_no_page_imports_another()
    assert run_zoo.main(["report", str(assayed)]) == 0
    said = capsys.readouterr().out
    for task in ("flipflop", "digits"):
        assert (assayed / "figures" / f"{task}-outcomes.png").exists()
        assert (assayed / "figures" / f"assay-mean_rate-{task}.png").exists()
        assert f"{task}: 0 of 2 networks have solved it" in said


def test_the_study_of_the_guide_asks_its_claim_of_a_zoo(assayed: Path) -> None:
    assert run_zoo.main(["study", "compression", "--on", str(assayed)]) == 0
    claims = pd.read_csv(assayed / "claims.csv").set_index("members")
    assert claims.loc["all", "value"] > 0
    assert claims.loc["all", "n"] == 2
    assert "too few configurations for an interval" in claims.loc["all", "because"]


def test_the_assay_of_the_guide_is_the_mean_size_of_the_activations(assayed: Path) -> None:
    _, result = read_result(artefacts.assay_path(assayed, "mean_rate"))
    trained = load(assayed)
    networks = result.isel(member=np.flatnonzero(result["trained"] & (result["model"] == "mlp")))
    ids = networks["member"].to_numpy().tolist()
    _, layers = trained.apply(ids, trained.task(ids[0]).probe(trained.task(ids[0]).data()).inputs)
    for layer in ("dense1", "dense2"):
        np.testing.assert_allclose(networks["rate"].sel(layer=layer), np.abs(layers[layer]).mean((1, 2)), rtol=1e-5)


def test_a_network_with_learned_time_constants_trains_on_the_new_task_by_the_new_rule(
    shown: Any, tmp_path: Path
) -> None:
    task, model = shown[TASK].Task(noise=0.1), shown[MODEL].Model(hidden=6)
    rule = shown[RULE].Rule()
    zoo = Zoo("new", task=task, model=model, training=SMALL, rule=rule, seeds=2)
    trained = train(zoo, tmp_path / "zoo", quiet=True)
    assert trained.members["rule"].tolist() == ["weight_perturbation"] * 2
    for member in trained.members["member"]:
        before, after = (trained.params(member, initial=initial)["scale"] for initial in (True, False))
        assert (before == 0).all()
        assert (after != 0).all(), "the time constants learn"


def test_weight_perturbation_is_the_gradient_on_average(shown: Any) -> None:
    task = shown[TASK].Task(delay=2)
    zoo = Zoo("one", task=task, model=vanilla.Model(hidden=2), training=SMALL)
    (cohort,) = zoo.cohorts
    bound = Binder(cohort.members[0], {}).bind(jax.tree.map(lambda x: x[0], floats_of(cohort)))
    trials = task.sample(jax.random.key(0), 8)
    variables = jax.jit(bound.model.init)({"params": jax.random.key(1)}, trials.inputs)
    rule = shown[RULE].Rule()

    def estimate(key: jax.Array) -> Any:
        return rule.gradient(bound, variables, (), trials, Context(jnp.int32(0), key, lambda: key)).grads

    @jax.jit
    @jax.grad
    def exact(params: Any) -> jax.Array:
        return bound.objective({"params": params}, trials, jax.random.key(0))[0]

    drawn = jax.jit(jax.vmap(estimate))(jax.random.split(jax.random.key(2), 4_000))
    for ours, theirs in zip(jax.tree.leaves(drawn), jax.tree.leaves(exact(variables["params"])), strict=True):
        error = np.asarray(ours).std(0) / np.sqrt(4_000)
        np.testing.assert_array_less(np.abs(np.asarray(ours).mean(0) - theirs), 5 * error + 2e-4)


def test_the_study_of_the_guide_outside_the_checkout_is_run_and_read_again_from_what_its_directory_keeps(
    shown: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(figures.STYLE, "savefig.dpi", 20)
    for name, code in (("delayed", FILES[TASK]), (OWN.rpartition("/")[2], FILES[OWN])):
        (tmp_path / f"{name}.py").write_text(code)
    zoo = tmp_path / "zoo"
    assert run_zoo.main(["run", str(tmp_path / "signs.py"), "--out", str(zoo), "--training.steps", "4"]) == 0
    table = load(zoo).members
    assert table[["task", "rule"]].to_numpy().tolist() == [["delayed", "signs"]] * 2
    assert sorted(file.name for file in (zoo / "parts").iterdir()) == ["delayed.py", "signs.py"]
    for spec in tmp_path.glob("*.py"):
        spec.unlink()
    for known in ("_seen", "_kept_places"):  # another process
        monkeypatch.setattr(own_parts, known, {})
    manifest._described_by.cache_clear()
    assert "Running the code" not in capfd.readouterr().err
    assert run_zoo.main(["assay", str(zoo), "dimensionality"]) == 0
    assert f"Running the code that {zoo} keeps: delayed, signs" in capfd.readouterr().err
    assert load(zoo).task(table["member"][0]).delay == 2
