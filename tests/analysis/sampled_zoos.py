"""Slices of zoos whose architectures were drawn at random."""

import numpy as np
import pandas as pd


def sampled(configurations: int, seeds: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A slice of sampled architectures: as many levels of a field as configurations."""
    draw = np.random.default_rng(0)
    width = draw.permutation(1000)[:configurations]
    table = pd.DataFrame(
        {
            "channels": np.repeat([f"({w}, {i})" for i, w in enumerate(width)], seeds),
            "kernel": np.repeat(draw.choice([3, 5], configurations), seeds),
            "gain": np.repeat(draw.uniform(0.5, 2, configurations), seeds),
            "seed": np.arange(configurations * seeds),
        }
    )
    table = table.assign(model="cnn", cohort=table["channels"], status="solved", layer="conv1")
    table = pd.concat([table.assign(trained=True), table.assign(trained=False)], ignore_index=True)
    vectors = draw.normal(size=(len(table), 8))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return table, vectors @ vectors.T


def of_many_depths(configurations: int, seeds: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Networks of 1 to 6 layers, their first items: kernels and channels by layer, two fields of few levels."""
    draw = np.random.default_rng(1)
    table, similarity = sampled(configurations, seeds)
    layers = np.repeat(draw.integers(1, 7, configurations), seeds)
    kernels = np.repeat([str(tuple(draw.integers(1, 9, 4).tolist())) for _ in range(configurations)], seeds)
    widths = [str(tuple(range(i, i + deep))) for i, deep in enumerate(layers[::seeds])]  # as many as layers
    table["channels"] = [*np.repeat(widths, seeds)] * 2
    names = np.repeat(draw.choice(["relu", "elu", "tanh"], configurations), seeds)
    return table.assign(kernel=[*kernels] * 2, activation=[*names] * 2, layers=[*layers] * 2, member="m"), similarity
