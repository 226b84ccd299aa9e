"""What pictures share: captions, colours, and what every item is."""

import numpy as np
import pytest

from analysis.labelled_comparison import MeasureRecord
from analysis.report import figures
from tests.analysis.report.pictures import DISTANCE, with_guests, zoo


def test_a_caption_says_whether_chance_is_known_differs_or_is_not_known() -> None:
    known = MeasureRecord("cka", "similarity", 48, chance=0.0, chance_sd=0.01)
    differing = MeasureRecord("rsa", "similarity", 48, chance_by_pair=True)
    assert figures.about(known) == "n = 48 stimuli, chance 0 ± 0.01"
    assert figures.about(differing) == "n = 48 stimuli, chance differs by pair"
    assert figures.about(DISTANCE) == "n = 48 stimuli, chance level not known in closed form"


def test_an_item_is_a_network_in_one_of_two_states_or_what_a_file_brought_in() -> None:
    table, _ = with_guests(*zoo())
    assert figures.states_of(table)[-3:].tolist() == ["recording", "recording", "baseline"]
    assert figures.states_of(table)[:2].tolist() == ["trained", "trained"]


@pytest.mark.parametrize("rates", [[1e-3, 3e-3], [1e-3, 3e-3, 1.0], [1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2]])
def test_learning_rates_of_a_legend_differ_in_colour_and_are_dark_to_light_in_their_order(rates: list[float]) -> None:
    colours = np.array([figures.colours_of(rates)[rate][:3] for rate in rates])
    apart = np.linalg.norm(np.diff(colours, axis=0), axis=1)
    assert apart.min() > 0.1, "of 1.7, black to white"
    light = colours @ (0.299, 0.587, 0.114)
    assert (np.diff(light) > 0).all()
    assert light.max() < 0.8, "white paper is 1"


def test_the_colours_of_many_numbers_are_those_of_their_size_on_a_logarithmic_scale() -> None:
    rates = np.geomspace(1e-4, 1, 25).tolist()
    scale = figures.colour_scale(rates)
    assert scale.norm(1e-2) == pytest.approx(0.5)
    assert figures.colours_of(rates)[rates[12]] == scale.to_rgba(1e-2)
    assert figures.colour_scale([1.0, 2.0, 3.0]).norm(2.0) == pytest.approx(0.5)


def test_names_of_rows_are_their_values_in_words() -> None:
    table, _ = zoo()
    assert figures.names_of(table, ["model", "hidden"])[-1] == "gru, hidden units 8"
