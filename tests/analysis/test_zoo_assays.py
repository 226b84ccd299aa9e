"""Assays of a directory: kept cohort by cohort, labelled, computed once; what cannot be had is said in one sentence."""

import dataclasses
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import run_zoo
from analysis import artefacts, zoo_assays
from analysis.assays import _giving, dimensionality, full_name
from analysis.zoo_assays import assay_of, assay_zoo, read_result
from models import setting, vanilla
from tests.analysis.assayed_zoo import directory
from zoo import Zoo, load
from zoo.rules import reinforce
from zoo.spec.contracts import check_contract, class_of_folder
from zoo.tasks import bandit


@dataclasses.dataclass(frozen=True)
class Assay:
    """The norm of every network's parameters, once for each of its arrays.

    Attributes:
      power: of the norm.
    """

    power: int = setting(2, least=1)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent", "feedforward"})
    needs: ClassVar[tuple[str, ...]] = ()
    calls: ClassVar[list[str]] = []
    fails_at: ClassVar[int] = 99

    def __init_subclass__(cls) -> None:
        cls.__name__ = "Assay"  # as every assay's file calls its class

    def run(self, population: Any) -> xr.Dataset:
        if len(self.calls) >= self.fails_at:
            raise KeyboardInterrupt
        self.calls.append(f"{population.model.family} {population.at}")

        def norms(bound: Any, variables: Any, key: Any) -> Any:
            return jnp.stack([jnp.sum(jnp.abs(x) ** self.power) for x in jax.tree.leaves(variables["params"])])

        norm = population.map(norms)
        names = [f"{'long ' * i}name" for i in range(norm.shape[1])]
        there = np.ones(norm.shape, int)
        values = {name: (("member", "array"), x, {"long_name": name}) for name, x in (("norm", norm), ("is", there))}
        return xr.Dataset(values, {"member": population.members, "array": names})

    def lines(self, result: xr.Dataset) -> list[str]:
        return [f"largest {float(result['norm'].max()):.3g}"]

    def figures(self, result: xr.Dataset) -> list[Any]:
        return []


def of_members(members: list[str], **variables: Any) -> xr.Dataset:
    """A result of a number for every network."""
    values = {name: ("member", x, {"long_name": name}) for name, x in variables.items()}
    return xr.Dataset(values, {"member": members})


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(directory(), tmp_path / "zoo"))


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Assay, "calls", [])
    monkeypatch.setattr(zoo_assays, "COHORTS_AT_ONCE", 1)  # so that calls come in one order


ALL = ["recurrent last", "recurrent initial", "feedforward last", "feedforward initial"]


def quiet(line: str) -> None:
    pass


def test_a_result_holds_both_states_of_all_networks_and_nan_where_a_cohort_has_less(copy: Path) -> None:
    said: list[str] = []
    result = assay_zoo(copy, Assay(), say=said.append)
    assert Assay.calls == ALL
    trained = load(copy)
    assert result.sizes == {"member": 8, "array": 6}
    assert result["trained"].to_numpy().tolist() == [True, True, False, False] * 2
    for i, member in enumerate(result["member"].to_numpy().tolist()):
        params = trained.params(member, initial=not result["trained"][i])
        expected = [np.sum(np.square(x)) for x in jax.tree.leaves(params)]
        np.testing.assert_allclose(result["norm"][i, : len(expected)], expected, rtol=1e-5)
        assert result["norm"][i, len(expected) :].isnull().all()
        assert result["is"][i].sum() == len(expected)
    assert all({"long_name", "units"} <= set(variable.attrs) for variable in result.variables.values())
    assert said[0] == "test_zoo_assays: 4 networks in 2 cohorts, trained and untrained"
    assert "largest" in said[1]
    assert not (copy / "analysis" / "assays" / artefacts.JOURNAL).exists()


def test_cohorts_side_by_side_give_what_they_give_one_by_one(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = assay_zoo(copy, Assay(), say=quiet)
    artefacts.remove(copy / "analysis")
    monkeypatch.setattr(zoo_assays, "COHORTS_AT_ONCE", 2)
    xr.testing.assert_identical(assay_zoo(copy, Assay(), say=quiet), alone)
    assert sorted(Assay.calls) == sorted(ALL * 2)


def test_a_killed_assay_goes_on_and_a_finished_one_computes_nothing(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = assay_zoo(copy, Assay(power=1), say=quiet)
    artefacts.remove(copy / "analysis")
    Assay.calls.clear()
    monkeypatch.setattr(Assay, "fails_at", 3)
    with pytest.raises(KeyboardInterrupt):
        assay_zoo(copy, Assay(power=1), say=quiet)
    assert ALL[:3] == Assay.calls
    assert not artefacts.assays(copy)
    monkeypatch.setattr(Assay, "fails_at", 99)
    resumed = assay_zoo(copy, Assay(power=1), say=quiet)
    assert Assay.calls == ALL
    said: list[str] = []
    again = assay_zoo(copy, Assay(power=1), say=said.append)
    assert Assay.calls == ALL
    assert said[0] == "test_zoo_assays(power=1): was done before"
    xr.testing.assert_identical(resumed, whole)
    xr.testing.assert_identical(again, whole)


@pytest.mark.parametrize("changed", ["probe", "steps", "code", "torn"])
def test_what_was_kept_of_something_else_is_not_used(copy: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    monkeypatch.setattr(Assay, "fails_at", 2)
    with pytest.raises(KeyboardInterrupt):
        assay_zoo(copy, Assay(), say=quiet)
    kept = list((copy / "analysis" / "assays").glob(".*/**/*.nc"))
    assert len(kept) == 2
    monkeypatch.setattr(Assay, "fails_at", 99)
    if changed == "probe":
        probes = zoo_assays.probes_of

        def other(trained: Any) -> Any:
            return {name: probe._replace(id="other") for name, probe in probes(trained).items()}

        monkeypatch.setattr(zoo_assays, "probes_of", other)
    elif changed == "steps":
        table = (copy / "members.csv").read_text()
        (copy / "members.csv").write_text(table.replace(",20,", ",19,"))
    elif changed == "code":
        monkeypatch.setattr(zoo_assays, "source_hash", lambda *modules: f"other {modules}")
    else:
        for path in kept:
            path.write_bytes(path.read_bytes()[:100])
    assay_zoo(copy, Assay(), say=quiet)
    assert Assay.calls == ALL[:2] + ALL


def test_results_of_other_options_and_other_moments_stay_and_untrained_networks_are_assayed_once(copy: Path) -> None:
    for at in ("last", 20, "initial"):
        assay_zoo(copy, Assay(), at, say=quiet)
    assert [*ALL, "recurrent 20", "feedforward 20"] == Assay.calls
    assay_zoo(copy, Assay(power=1), "initial", say=quiet)
    assert len(Assay.calls) == 8, "those of other options are others"
    names = {path.name for path in artefacts.assays(copy)}
    stems = ("", "(power=1)@initial", "@20", "@initial")
    assert names == {f"test_zoo_assays{stem}.nc" for stem in stems}
    last, step, initial = (
        artefacts.read_dataset(artefacts.assay_path(copy, f"test_zoo_assays{stem}")) for stem in ("", "@20", "@initial")
    )
    np.testing.assert_array_equal(last["norm"], step["norm"])
    np.testing.assert_array_equal(last["norm"][~last["trained"]], initial["norm"])
    np.testing.assert_array_equal(step["norm"][~step["trained"]], initial["norm"])


def test_an_assay_is_given_what_it_needs_of_the_same_networks(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[xr.Dataset] = []

    @dataclasses.dataclass(frozen=True)
    class Needing(Assay):
        needs: ClassVar[tuple[str, ...]] = ("lesions",)

        def run(self, population: Any) -> xr.Dataset:
            assert population.needs["lesions"]["member"].to_numpy().tolist() == population.members
            assert (population.needs["lesions"]["trained"] == (population.at != "initial")).all()
            given.append(population.needs["lesions"])
            return of_members(population.members, rows=np.ones(2))

        def lines(self, result: xr.Dataset) -> list[str]:
            return ["rows"]

    monkeypatch.setattr(zoo_assays, "assay_of", lambda name: Assay(power=3))
    assay_zoo(copy, Needing(), say=quiet)
    assert len(given) == 4
    assert Assay.calls == ALL
    assay_zoo(copy, Needing(power=1), say=quiet)  # those that it needs are read
    assert Assay.calls == ALL
    assay_zoo(copy, Needing(), 20, say=quiet)
    assert len(given) == 4 + 4 + 2, "the untrained ones and what they need have no moment"
    monkeypatch.setattr(zoo_assays, "assay_of", lambda name: Needing(power=4))
    with pytest.raises(ValueError, match="need each other"):
        assay_zoo(copy, Needing(power=4), say=quiet)


def test_a_ragged_result_is_a_long_table_with_labels_along_it(copy: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Ragged(Assay):
        def run(self, population: Any) -> xr.Dataset:
            members = [m for i, m in enumerate(population.members) for _ in range(i + 1)]
            speed = ("point", np.arange(3.0), {"long_name": "speed"})
            return xr.Dataset({"speed": speed}, {"member": ("point", members)})

        def lines(self, result: xr.Dataset) -> list[str]:
            return ["speed"]

    result = assay_zoo(copy, Ragged(), say=quiet)
    assert result.sizes == {"point": 12}
    for label in ("member", "trained", "probe", "probe_name", "model", "seed", "score"):
        assert result[label].dims == ("point",)
    table = load(copy).members.set_index("member")
    assert result["seed"].to_numpy().tolist() == table.loc[result["member"].to_numpy(), "seed"].tolist()


def test_networks_of_one_task_on_unlike_probes_are_named_apart(copy: Path) -> None:
    result = assay_zoo(copy, Assay(), "initial", say=quiet)
    assert result["probe_name"].to_numpy().tolist() == ["flipflop"] * 2 + ["digits"] * 2
    probes = {p.id for p in zoo_assays.probes_of(load(copy)).values()}
    assert set(result["probe"].to_numpy()) == probes


BROKEN = "tests/analysis/test_zoo_assays.py: "


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda m: None, "run gives None; it must be an xarray.Dataset"),
        (lambda m: xr.Dataset({"x": ("member", np.zeros(2))}), "run gives no coordinate `member`"),
        (lambda m: of_members(m[::-1], x=np.zeros(2)), "run gives other members"),
        (lambda m: of_members(m), "run gives no variable"),
        (lambda m: of_members(m, x=["a", "b"]), "run gives x of <U1; it must be numbers"),
        (lambda m: of_members(m, trained=np.zeros(2)), "run gives something called 'trained'"),
        (lambda m: xr.Dataset({"x": ("member", np.zeros(2))}, {"member": m}), "run gives x without an attribute"),
        (lambda m: of_members(m, x=np.zeros(2)).expand_dims(k=3, axis=1), "run gives a dimension 'k' without a"),
        (
            lambda m: of_members(m, x=np.zeros(2)).expand_dims(k=[1, 1], axis=1),
            "'k' whose coordinate has a value twice",
        ),
        (lambda m: of_members(m, x=np.zeros(2)).expand_dims(k=[1, 2]), "the first must be 'member'"),
        (lambda m: m[99], "run ends with IndexError, 'list index out of range'"),
        (lambda m: of_members(m, x=np.zeros(3)), 'run ends with ValueError, "conflicting sizes for dimension'),
    ],
)
def test_a_result_that_breaks_the_contract_is_refused_with_the_name_of_the_file(
    copy: Path, result: Callable[[list[str]], Any], message: str
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Broken(Assay):
        def run(self, population: Any) -> xr.Dataset:
            return result(population.members)

    with pytest.raises(ValueError, match=f"^{re.escape(BROKEN)}.*{re.escape(message)}") as error:
        assay_zoo(copy, Broken(), "initial", say=quiet)
    assert "\n" not in str(error.value)


def test_cohorts_that_an_assay_refuses_are_left_out_and_named_and_one_that_needs_it_leaves_them_out_too(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Refusing(Assay):
        def run(self, population: Any) -> xr.Dataset:
            if population.model.family == "recurrent":
                assay_of("nothing")
            return of_members(population.members, x=np.zeros(len(population.members)))

    @dataclasses.dataclass(frozen=True)
    class Needing(Assay):
        needs: ClassVar[tuple[str, ...]] = ("dimensionality",)

        def run(self, population: Any) -> xr.Dataset:
            return of_members(population.members, norm=population.needs["dimensionality"]["x"].to_numpy() + 1)

    made = assay_of
    monkeypatch.setattr(
        zoo_assays, "assay_of", lambda name, *rest: Refusing(power=3) if name == "dimensionality" else made(name)
    )
    zoo = load(copy).zoo
    recurrent = [cohort for cohort in zoo.cohorts if cohort.members[0].model.family == "recurrent"]
    for _ in "computed", "read":
        said: list[str] = []
        result = assay_zoo(copy, Needing(), "initial", say=said.append)
        assert not set(result["member"].to_numpy()) & {member.id for cohort in recurrent for member in cohort.members}
        assert (result["norm"] == 1).all()
        (sentence,) = zoo_assays.left_out(result)
        assert "needs dimensionality" in sentence
        assert all(cohort.id in sentence for cohort in recurrent)
        assert any("'nothing'" in line for line in said), said
        assert any(sentence in line for line in said)


def test_results_of_cohorts_that_do_not_go_together_are_refused_with_the_name_of_the_file(copy: Path) -> None:
    @dataclasses.dataclass(frozen=True)
    class Unlike(Assay):
        def run(self, population: Any) -> xr.Dataset:
            is_first = population.model.family == "recurrent"
            if self.power == 1:
                result = of_members(population.members, x=np.zeros(2))
                return result if is_first else result.rename_dims(member="point")
            return of_members(population.members, x=np.zeros(2)).expand_dims(k=["a"] if is_first else [1], axis=1)

    with pytest.raises(ValueError, match=f"^{BROKEN}run gives 'k' names in one cohort and numbers in another"):
        assay_zoo(copy, Unlike(), "initial", say=quiet)
    with pytest.raises(ValueError, match=f"^{BROKEN}putting the results of its cohorts together ends with "):
        assay_zoo(copy, Unlike(power=1), "initial", say=quiet)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ([], "lines gives none; it must give texts, at least one"),
        ("a", "lines gives none; it must give texts, at least one"),
        (["a", 1], "lines gives 1; it must give texts without line breaks"),
        (["a\nb"], r"lines gives 'a\\nb'; it must give texts without line breaks"),
        (None, "lines ends with TypeError"),
    ],
)
def test_lines_that_break_the_contract_are_refused_with_the_name_of_the_file(said: Any, message: str) -> None:
    @dataclasses.dataclass(frozen=True)
    class Broken(Assay):
        def lines(self, result: xr.Dataset) -> Any:
            return said

    with pytest.raises(ValueError, match=f"^{BROKEN}{message}"):
        _giving.lines_of(Broken(), xr.Dataset())


def drawn(*names: str) -> list[tuple[str, Figure]]:
    pictures = [(name, Figure()) for name in names]
    for _, figure in pictures:
        figure.subplots().plot([1, 2])
    return pictures


@pytest.mark.parametrize(
    ("pictures", "message"),
    [
        ([], "figures gives none; it must give at least one"),
        (["a"], r"figures gives 'a'; it must give \(name, Figure\)"),
        ([("a", Figure())], "figures gives 'a' with nothing drawn in it"),
        (drawn("a", "a"), "figures gives two pictures of the name 'a'"),
        (None, "figures ends with TypeError"),
    ],
)
def test_pictures_that_break_the_contract_are_refused_with_the_name_of_the_file(pictures: Any, message: str) -> None:
    @dataclasses.dataclass(frozen=True)
    class Broken(Assay):
        def figures(self, result: xr.Dataset) -> Any:
            return pictures

    with pytest.raises(ValueError, match=f"^{BROKEN}{message}"):
        list(_giving.figures_of(Broken(), xr.Dataset()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(takes=frozenset({"recurent"})), "takes has 'recurent'; the nearest is 'recurrent'"),
        (dict(takes="recurrent"), "takes is 'recurrent'; it must be several names"),
        (dict(takes=frozenset({"environment"})), "takes is .*; it must have recurrent, feedforward, convolutional"),
        (dict(needs=("lesion",)), "needs has 'lesion'; the nearest is 'lesions'"),
        (dict(figures=None), "Assay has no `figures`; the contract of an assay, Assay, asks for it"),
    ],
)
def test_an_assay_that_declares_what_it_cannot_is_refused_before_anything_is_read(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    kept = {name: value for name, value in vars(Assay).items() if changes.get(name, value) is not None}
    cls = type("Assay", (), {**kept, **{name: value for name, value in changes.items() if value is not None}})
    with pytest.raises(ValueError, match=f"^{BROKEN}{message}"):
        assay_zoo(tmp_path / "nowhere", cls(), say=quiet)


STEPS = "these networks have a checkpoint: 0, 20."


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["dimensionalty"], "Unknown assay 'dimensionalty'; the nearest is 'dimensionality'."),
        (["lesions", "--sizes", "3"], "lesions.Assay has no option 'sizes'; the nearest is 'size'."),
        (["lesions", "--size", "0"], "lesions.Assay.size is 0; it must be at least 1."),
        (["lesions", "--size=some"], "lesions.Assay.size is 'some'; it must be an integer."),
        (["lesions", "--order", "rank"], "lesions.Assay.order is 'rank'; it must be one of 'variance', 'random'"),
        (["lesions", "--size"], "The flag --size has no value."),
        (["lesions", "--task.bits", "2"], "lesions.Assay has no option 'task.bits'; there are "),
        *(
            (
                ["dimensionality", f"--at={at}"],
                f'at is {at!r}; it must be "last", "initial", "score=0.5" or a step at which all {STEPS}',
            )
            for at in ("never", "7", "-20", "1.5", "99999", "", " 20")
        ),
        (["dimensionality", "--space", "all"], "space is 'all'; allowed: mean, units, subset(k)"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_status_2(
    words: list[str], sentence: str, copy: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run_zoo.main(["assay", str(copy), *words]) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert len(error.splitlines()) == 1
    assert not artefacts.assays(copy)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (dict(run=lambda self, population: None), "run gives None; it must be an xarray.Dataset."),
        (dict(takes=frozenset({"pictures"})), "takes has 'pictures'; there are recurrent, feedforward, "),
    ],
)
def test_an_assays_file_that_breaks_the_contract_is_one_sentence_at_the_command_line_and_status_2(
    changes: dict[str, Any], sentence: str, copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    check_contract.cache_clear()
    class_of_folder.cache_clear()
    for name, value in changes.items():
        monkeypatch.setattr(dimensionality.Assay, name, value)
    assert run_zoo.main(["assay", str(copy), "dimensionality"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"run_zoo.py: analysis/assays/dimensionality.py: {sentence}")
    assert error.count("\n") == 1


def test_the_command_line_takes_options_of_the_assay(copy: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["assay", str(copy), "dimensionality", "--time", "last", "--variance=0.5", "--at", "initial"]
    assert run_zoo.main(words) == 0
    path = artefacts.assay_path(copy, "dimensionality(time=last, variance=0.5)@initial")
    assert path.name == "dimensionality(time=last,variance=0.5)@initial.nc"
    assay, result = read_result(path)
    assert assay == dimensionality.Assay(time="last", variance=0.5)
    assert not result["trained"].any()
    text = capsys.readouterr().out
    assert "participation ratio" in text
    assert str(path) in text


def test_a_zoo_in_which_nothing_is_trained_to_its_end_is_refused(copy: Path) -> None:
    shutil.rmtree(copy / "cohorts")
    table = load(copy).members
    table.assign(status="pending").to_csv(copy / "members.csv", index=False)
    with pytest.raises(ValueError, match="has no member that is trained to its end; train it first"):
        assay_zoo(copy, "dimensionality", say=quiet)


def test_a_zoo_with_nothing_that_an_assay_takes_is_refused(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Assay, "takes", frozenset({"convolutional"}))
    with pytest.raises(ValueError, match="networks are feedforward, recurrent; test_zoo_assays takes convolutional"):
        assay_zoo(copy, Assay(), say=quiet)


def test_only_assays_that_take_environments_are_asked_of_networks_that_act() -> None:
    acting = Zoo("acting", task=bandit.Task(), model=vanilla.Model(hidden=3), rule=reinforce.Rule()).cohorts[0]
    kinds = zoo_assays._kinds(acting)
    assert kinds == {"recurrent", "environment"}
    assert kinds <= dimensionality.Assay().takes
    assert not kinds <= Assay().takes


def test_an_option_that_is_not_at_its_default_is_in_the_name() -> None:
    assert full_name(assay_of("lesions")) == "lesions"
    assert full_name(assay_of("lesions", {"size": 8, "order": "random"})) == "lesions(size=8, order=random)"
