"""Spaces: what a map is reduced to, the same for all members, and one sentence for what is no space."""

import re
import zlib

import numpy as np
import pytest

from analysis.activations.spaces import Space, parse

MAPS = np.random.default_rng(0).standard_normal((5, 4, 3, 2)).astype("float32")


def test_a_space_reads_back_from_its_name():
    assert parse("mean") == Space("mean")
    assert parse("units") == Space("units")
    assert parse("subset(7)") == parse("subset( 7, key = 0 )") == Space("subset", 7)
    assert parse("subset(7, key=3)") == parse("subset(7,3)") == Space("subset", 7, 3)
    for space in (Space("mean"), Space("units"), Space("subset", 7), Space("subset", 7, 3)):
        assert parse(space.name) == space


@pytest.mark.parametrize("text", ["median", "subset", "subset()", "subset(0)", "subset(-3)", "subset(2, seed=1)", ""])
def test_what_is_no_space_is_refused_in_one_sentence(text):
    sentence = f"space is {text!r}; allowed: mean, units, subset(k) or subset(k, key=3) with k of at least 1."
    with pytest.raises(ValueError, match=re.escape(sentence)):
        parse(text)


def test_maps_become_channel_means_all_units_or_the_chosen_ones():
    np.testing.assert_allclose(parse("mean").reduce(MAPS, "conv1"), MAPS.mean((1, 2)))
    flat = MAPS.reshape(5, 24)
    np.testing.assert_array_equal(parse("units").reduce(MAPS, "conv1"), flat)
    some = parse("subset(10)")
    np.testing.assert_array_equal(some.reduce(MAPS, "conv1"), flat[:, some.chosen("conv1", 24)])
    np.testing.assert_array_equal(parse("subset(24)").reduce(MAPS, "conv1"), flat)
    for space in ("mean", "units", "subset(10)", "subset(99)"):
        assert parse(space).width(MAPS.shape[1:]) == parse(space).reduce(MAPS, "conv1").shape[1]


def test_a_subset_depends_on_key_and_layer_alone_and_never_changes():
    chosen = Space("subset", 4).chosen("conv1", 24)
    words = np.random.Philox(key=np.array([0, zlib.crc32(b"conv1")], np.uint64)).random_raw(24)
    assert chosen.tolist() == sorted(np.argsort(words)[:4].tolist()) == [1, 3, 9, 20]
    assert len(set(chosen)) == 4
    assert chosen.tolist() != Space("subset", 4, 1).chosen("conv1", 24).tolist()
    assert chosen.tolist() != Space("subset", 4).chosen("conv2", 24).tolist()
