"""What pictures share: captions, and what every item is."""

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
