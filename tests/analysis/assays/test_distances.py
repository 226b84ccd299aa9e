"""Distances that an assay gives are a comparison: written, tested and drawn as any; what is wrong is one sentence."""

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text

import run_zoo
from analysis import artefacts
from analysis.assays import _giving, _pictures
from analysis.assays._distances import Distance, Networks, comparison_of_distances
from analysis.labelled_comparison import ComparedTask, Comparison
from analysis.report import figures
from analysis.zoo_assays import assay_zoo
from models import setting, vanilla
from zoo import Training, Zoo, product, train
from zoo.tasks import flipflop

NAME = "flipflop-test_distances"
WORDS = "difference of the norms of all parameters"


@dataclasses.dataclass(frozen=True)
class Assay:
    """How far the norms of networks' parameters are apart.

    Attributes:
      unknown: how many networks of the result, the first, have no distance.
    """

    unknown: int = setting(0, least=0)

    takes: ClassVar[frozenset[str]] = frozenset({"recurrent"})
    needs: ClassVar[tuple[str, ...]] = ()

    def run(self, population: Any) -> xr.Dataset:
        norm = population.map(_norm)
        return xr.Dataset({"norm": ("member", norm, {"long_name": "norm"})}, {"member": population.members})

    def lines(self, result: xr.Dataset) -> list[str]:
        return ["norms"]

    def figures(self, result: xr.Dataset) -> list[Any]:
        figure = Figure()
        figure.subplots().plot(result["norm"])
        return [("all", figure)]

    def distances(self, result: xr.Dataset) -> Iterator[tuple[str, Distance]]:
        for name, part in _pictures.probes(result):
            norm = part["norm"].to_numpy().astype(np.float64)
            norm[: self.unknown] = np.nan
            values = np.abs(norm[:, None] - norm[None])
            values[np.diag_indices(len(norm))] = 0
            yield name, Distance("norm", values, WORDS, is_metric=True)


def _norm(bound: Any, variables: Any, key: Any) -> Any:
    return jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(variables["params"])))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two widths, two L2 penalties and three seeds: of the untrained networks half are copies."""
    training = product(Training, l2=[0.0, 0.1], steps=[20], batch=[8], learning_rate=[0.02], evaluate_every=[10])
    task = flipflop.Task(bits=1, steps=8, eval_trials=24, probe_trials=8)
    zoo = Zoo("far", task=task, model=product(vanilla.Model, hidden=[3, 5]), training=training, seeds=3)
    place = tmp_path_factory.mktemp("distances") / "zoo"
    train(zoo, place, quiet=True)
    return place


def test_distances_are_a_comparison_with_tests_and_means_and_every_network_once(place: Path) -> None:
    said: list[str] = []
    result = assay_zoo(place, Assay(), say=said.append)
    assert f"{NAME}: 18 networks compared by distance: norm" in said
    comparison = Comparison.load(artefacts.path_of(place, NAME, artefacts.COMPARISON))
    items: Any = comparison.items
    assert items["trained"].sum() == 12
    assert items["copies"].tolist() == np.where(items["trained"], 1, 2).tolist()
    assert items["l2"].isna().to_numpy().tolist() == (~items["trained"]).tolist()
    assert set(items["layer"]) == {"test_distances"}
    record = comparison.measures["norm"].record
    assert (record.kind, record.estimator, record.is_metric, record.n_stimuli) == ("distance", WORDS, True, 0)
    norm = dict(zip(zip(result["member"].to_numpy(), result["trained"].to_numpy()), result["norm"].to_numpy()))
    here = np.array([norm[key] for key in zip(items["member"], items["trained"])], np.float64)
    np.testing.assert_allclose(comparison.measures["norm"].values, np.abs(here[:, None] - here[None]), rtol=1e-6)
    tests = pd.read_csv(artefacts.path_of(place, NAME, artefacts.FIELDS))
    assert set(tests["field"]) == {"hidden", "l2"}
    means = pd.read_csv(artefacts.path_of(place, NAME, artefacts.MEANS))
    within: Any = means[
        (means["state"] == "untrained") & (means["pairs_of"] == "within") & (means["groups"] == "hidden")
    ]
    assert within["pairs"].tolist() == [6], "two widths of three seeds each"


def test_every_page_of_the_report_shows_distances_with_the_assay_in_its_title(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setitem(figures.STYLE, "savefig.dpi", 20)
    assay_zoo(place, Assay(), say=lambda line: None)
    titles: list[str] = []
    save = Figure.savefig

    def noted(figure: Figure, *args: Any, **kwargs: Any) -> None:
        titles.append(" ".join(text.get_text() for text in figure.findobj(Text)))
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", noted)
    assert run_zoo.main(["report", str(place)]) == 0
    text = capsys.readouterr().out
    drawn = {path.name for path in (place / "figures").glob(f"{NAME}*.png")}
    assert drawn == {f"{NAME}-norm-{page}.png" for page in ("heatmap", "mds", "clusters")}
    of_distances = [title for title in titles if "K-bit flip-flop: test_distances" in title]
    assert len(of_distances) == 3
    assert all("norm distance" in title and "stimuli" not in title for title in of_distances)
    assert "lower is more alike" in text
    assert "stimuli" not in text
    assert "has no comparison; compare makes one" in text, "of representations"


@pytest.mark.parametrize(("unknown", "left_out"), [(1, 1), (11, 9)])
def test_networks_of_which_no_distance_is_known_are_left_out_and_counted(
    place: Path, unknown: int, left_out: int
) -> None:
    said: list[str] = []
    assay_zoo(place, Assay(unknown=unknown), say=said.append)
    name = f"{NAME}(unknown={unknown})"
    plural = "s" if left_out > 1 else ""
    assert f"{name}: {left_out} network{plural} of which no distance is known, left out" in said
    comparison = Comparison.load(artefacts.path_of(place, name, artefacts.COMPARISON))
    assert len(comparison.excluded) == left_out
    assert not np.isnan(comparison.measures["norm"].values).any()


def test_where_no_distance_is_known_there_is_no_comparison_and_an_earlier_one_goes(place: Path) -> None:
    said: list[str] = []
    path = artefacts.path_of(place, f"{NAME}(unknown=99)", artefacts.FIELDS)
    path.parent.mkdir(exist_ok=True)
    path.write_text("earlier")
    assay_zoo(place, Assay(unknown=99), say=said.append)
    assert f"{NAME}(unknown=99): 18 networks of which no distance is known, left out" in said
    assert not path.exists()


def test_of_untrained_networks_alone_distances_are_a_comparison_too(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(figures.STYLE, "savefig.dpi", 20)
    assay_zoo(place, Assay(), "initial", say=lambda line: None)
    comparison = Comparison.load(artefacts.path_of(place, f"{NAME}@initial", artefacts.COMPARISON))
    assert len(comparison.items) == 6
    assert run_zoo.main(["report", str(place)]) == 0


def test_pairs_without_a_distance_stay_unknown() -> None:
    table = pd.DataFrame({"member": list("abcd"), "model": "gru", "seed": range(4)})
    values = np.ones((4, 4)) - np.eye(4)
    values[0, 1] = values[1, 0] = np.nan
    values[3, :3] = values[:3, 3] = np.nan
    networks = Networks(table, np.array([True] * 4), list("abcd"), "probe")
    of_task = ComparedTask("digits", "", 0.1, 0.9, 4, "topology", "digits")
    found = comparison_of_distances("topology", [Distance("graph", values, "as planted", False)], networks, of_task)
    assert found.names == ["a/topology", "b/topology", "c/topology"]
    np.testing.assert_array_equal(found.measures["graph"].values, values[:3, :3])
    (gone,) = found.excluded
    assert (gone.member, gone.layer, gone.trained) == ("d", "topology", True)


def square(values: Any = ((0.0, 1.0), (1.0, 0.0)), name: str = "norm", about: str = WORDS) -> Distance:
    return Distance(name, np.array(values), about, True)


BROKEN = "tests/analysis/assays/test_distances.py: distances "


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (lambda: 1 / 0, "ends with ZeroDivisionError"),
        (lambda: [square()], "gives Distance"),
        (lambda: [("flipflop", 1)], "gives ('flipflop', 1); it must give (name, Distance)"),
        (lambda: [("flop", square())], "gives one on 'flop'; the nearest is 'flipflop'"),
        (lambda: [("flipflop", square(name="a b"))], "gives a distance called 'a b'; it must be an identifier"),
        (lambda: [("flipflop", square(np.zeros((3, 3))))], "it must be numbers of the shape (2, 2)"),
        (lambda: [("flipflop", square([["a", "b"]] * 2))], "it must be numbers of the shape (2, 2)"),
        (lambda: [("flipflop", square([[0, -1], [-1, 0]]))], "with the value -1; it must be 0 or more, or NaN"),
        (lambda: [("flipflop", square([[0, np.inf], [np.inf, 0]]))], "with the value inf"),
        (lambda: [("flipflop", square([[0, 1], [1, 2.0]]))], "of a network to itself as 2; it must be 0"),
        (lambda: [("flipflop", square([[0, 1], [np.nan, 0]]))], "of a and b other than that of b and a"),
        (lambda: [("flipflop", square(about=" "))], "without words that say how it is had"),
        (lambda: [("flipflop", square())] * 2, "gives two of one name on 'flipflop'"),
    ],
)
def test_distances_that_break_the_contract_are_refused_with_the_name_of_the_file(
    given: Callable[[], Any], message: str
) -> None:
    @dataclasses.dataclass(frozen=True)
    class Broken(Assay):
        def distances(self, result: xr.Dataset) -> Any:
            return given()

    coords: Any = {"member": ["a", "b"], "probe_name": ("member", ["flipflop"] * 2)}
    with pytest.raises(ValueError, match=f"^{BROKEN}.*{re.escape(message)}") as error:
        _giving.distances_of(Broken(), xr.Dataset({"x": ("member", np.zeros(2))}, coords))
    assert "\n" not in str(error.value)


def test_an_assay_without_distances_has_no_comparison(place: Path) -> None:
    assay_zoo(place, "dimensionality", say=lambda line: None)
    assert not list((place / artefacts.FOLDER).glob("*dimensionality*"))
