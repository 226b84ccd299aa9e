"""Agreement: every number is written that is known."""

import numpy as np

from analysis.geometry.embedding import angular
from analysis.report.pages import agreement
from analysis.scoring import measure_agreement
from tests.analysis.report.pictures import drawn, zoo


def test_agreement_writes_every_correlation_with_its_interval() -> None:
    _, similarity = zoo()
    values = {"cka": similarity, "procrustes": angular(similarity), "empty": np.full_like(similarity, np.nan)}
    found = measure_agreement.agreement(values, {"cka": "similarity", "procrustes": "distance", "empty": "similarity"})
    figure = drawn(agreement.draw({"conv1": found, "conv2": found}, "members", "zoo"))
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == 4, "nothing is written where nothing is known"
    assert texts[0] == "1.00"
    assert texts[1].startswith("1.00\n["), "the distance counts with the opposite sign"
    assert "convolution 1\n(496 pairs)" in figure.axes[0].get_title(loc="left")
    assert "jackknife over members" in figure.get_suptitle()
