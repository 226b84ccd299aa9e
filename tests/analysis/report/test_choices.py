"""What may be chosen of pictures: fields by their names or with their section, and what was not varied is refused."""

from pathlib import Path

import pandas as pd
import pytest

from analysis.report import choices
from analysis.report.choices import PictureChoices, resolved, shown_fields
from models import vanilla
from zoo import Zoo
from zoo.tasks import flipflop

FIELDS = ["hidden", "model.noise", "task.noise", "learning_rate", "seed"]


def test_a_field_is_named_alone_or_with_its_section_and_counts_once() -> None:
    asked = PictureChoices(
        by=("model.hidden", "model.noise", "hidden"), marks="training.learning_rate", formats=("pdf", "pdf")
    )
    found = resolved(asked, FIELDS)
    assert found == PictureChoices(by=("hidden", "model.noise"), marks="learning_rate", formats=("pdf",))


@pytest.mark.parametrize(
    ("asked", "fields", "words"),
    [
        (PictureChoices(by=("hiden",)), FIELDS, "No field 'hiden' was varied; the nearest is 'hidden'"),
        (
            PictureChoices(by=("model.hiden",)),
            ["hidden", "model"],
            "No field 'model.hiden' was varied; the nearest is 'hidden'",
        ),
        (PictureChoices(marks="noise"), FIELDS, "the nearest are 'task.noise', 'model.noise'"),
        (PictureChoices(by=("gain",)), [], "No field 'gain' was varied: all members are alike"),
        (PictureChoices(formats=("jpg",)), FIELDS, "Unknown format 'jpg'; "),  # pyright: ignore[reportArgumentType]
        (PictureChoices(formats=()), FIELDS, "formats is empty; allowed: png, pdf, svg"),
    ],
)
def test_what_was_not_varied_is_refused_with_the_nearest_that_was(
    asked: PictureChoices, fields: list[str], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        resolved(asked, fields)


def test_pictures_show_the_chosen_fields_where_these_vary_and_all_elsewhere() -> None:
    table = pd.DataFrame({"model": ["gru", "lstm"] * 4, "hidden": [8, 8, 16, 16] * 2, "gain": 1.0, "seed": range(8)})
    fields = ["model", "hidden", "gain"]
    assert shown_fields(table, fields) == ["model", "hidden"]
    with choices.under(PictureChoices(by=("seed", "hidden"))):
        assert shown_fields(table, fields) == ["seed", "hidden"]
    with choices.under(PictureChoices(by=("gain",))):
        assert shown_fields(table, fields) == ["model", "hidden"], "nothing varies there that was chosen"
    assert choices.chosen() == choices.USUAL


def test_a_field_that_will_not_vary_is_refused_before_a_new_zoo_is_trained(tmp_path: Path) -> None:
    zoo = Zoo("two", task=flipflop.Task(), model=[vanilla.Model(hidden=n) for n in (3, 4)])
    choices.check_before(PictureChoices(by=("model.hidden", "seed")), zoo, tmp_path / "new")
    with pytest.raises(ValueError, match="No field 'bits' was varied"):
        choices.check_before(PictureChoices(by=("bits",)), zoo, tmp_path / "new")
    choices.check_before(PictureChoices(by=("bits",)), zoo, tmp_path)  # may hold more than this spec
