"""What a reader of a paper calls tasks, measures, layers and fields: names of files and fields, in words.

A part's words are the first of its own file, up to a colon, comma or bracket, so that a file that is put into a folder
brings them along. Where something has no words, its name stands.
"""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from zoo import lookup

__all__ = [
    "called",
    "field_words",
    "layer_words",
    "level_words",
    "measure_words",
    "row_words",
    "short_names",
    "subject_words",
]

FIELD_WORDS = {
    "clip": "largest gradient norm",
    "dt": "time step (ms)",
    "gain": "gain of the initial weights",
    "hidden": "hidden units",
    "l2": "L2 penalty",
    "rate_l2": "L2 penalty on rates",
    "recurrent_l1": "L1 penalty on recurrent weights",
    "recurrent_nuclear": "nuclear norm penalty",
    "tau": "time constant (ms)",
}
"""Fields whose names alone do not say what they are."""

LAYER_KINDS = {
    "block": "block",
    "conv": "convolution",
    "dense": "dense layer",
    "rate": "firing rates",
    "stage": "stage",
    "state": "whole state",
    "stem": "first convolution",
}
"""Layers, by their names without number."""


def called(kind: str, name: str) -> str:
    """ "task", "flipflop" -> "K-bit flip-flop"; the name itself of what no folder has, such as a task in a spec."""
    if name not in lookup.names(kind):
        return name
    clause = re.split(r"[:,(]|\.$", lookup.describe(kind, name))[0].strip().removeprefix("The ").removeprefix("the ")
    return clause[:1].upper() + clause[1:] or name


def subject_words(task: str, name: str) -> str:
    """What is shown, in words: the task's, then what sets it apart.

    Args:
      task: its name.
      name: of a comparison or a probe, "flipflop", "flipflop bits=2", or with a file of images "digits-mine".
    """
    rest = name.removeprefix(task) if name.startswith(task) else f" {name}"
    return called("task", task) + (f", images of {rest[1:]}" if rest.startswith("-") else rest)


def measure_words(name: str) -> tuple[str, str]:
    """A measure's full name -> its family in words, and in short: "Centred kernel alignment" and "CKA"."""
    family = name.partition("(")[0]
    return called("measure", family), family.upper() if len(family) <= 3 else family


def layer_words(layer: str) -> str:
    """ "conv1.pre" -> "convolution 1 before its nonlinearity"."""
    whole, _, moment = layer.partition(".")
    parts = [re.fullmatch(r"([a-z]+)(\d*)", part) for part in whole.split("_")]
    if any(part is None or part[1] not in LAYER_KINDS for part in parts):
        return layer
    words = ", ".join(" ".join(filter(None, (LAYER_KINDS[part[1]], part[2]))) for part in parts if part)
    return f"{words} before its nonlinearity" if moment == "pre" else f"{words} {moment}".rstrip()


def field_words(field: str) -> str:
    """ "learning_rate" -> "learning rate", "model.noise" -> "noise of the model"."""
    section, _, name = field.rpartition(".")
    words = FIELD_WORDS.get(name, name.replace("_", " "))
    return f"{words} of the {section.replace('.', ' ')}" if section else words


def level_words(level: Any) -> str:
    """A value of a field, short; "" of none."""
    if isinstance(level, str):
        return level if len(level) <= 20 else f"{level[:17]}..."
    return "" if pd.isna(level) else str(level) if isinstance(level, (bool, np.bool_)) else f"{level:g}"


def row_words(field: str, value: Any) -> str:
    """One value of a row's name: "gru", "hidden units 64"; "" where the row does not have the field."""
    text = value if isinstance(value, str) else level_words(value)
    return text if field == "model" or not text else f"{field_words(field)} {text}"


def short_names(names: Iterable[Any]) -> list[str]:
    """Names of recordings in short, "subject1/spikes" -> "spikes", where that tells them apart; else as they are."""
    whole = [str(name) for name in names]
    last = [name.rpartition("/")[2] for name in whole]
    return last if len(set(last)) == len(set(whole)) else whole
