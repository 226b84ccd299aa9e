"""Wall time of the pairwise engine, beside a NumPy loop over pairs.

    python benchmarks/similarity.py            256 members, 500 stimuli, 128 units; about 20 s on 2 CPU cores
    python benchmarks/similarity.py --quick    64 members, 200 stimuli

The loop makes both Gram matrices again for each pair, as most packages do, and is timed on a sample of pairs and
scaled to all of them. Expected on 2 cores: debiased CKA in less than 1.5 s warm.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from analysis.measures import cka, rsa
from analysis.pairwise import similarities


def centred_gram(x: np.ndarray) -> np.ndarray:
    """The U-centred Gram matrix (Szekely & Rizzo 2014) of (stimulus, unit)."""
    n = len(x)
    gram = x @ x.T
    np.fill_diagonal(gram, 0)
    sums = gram.sum(0)
    gram = gram - (sums[:, None] + sums) / (n - 2) + sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(gram, 0)
    return gram


def one_pair(a: np.ndarray, b: np.ndarray) -> float:
    """Debiased CKA of two representations, nothing kept between pairs."""
    k, m = centred_gram(a), centred_gram(b)
    return float((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a smaller population")
    quick = parser.parse_args().quick
    members, stimuli, units = (64, 200, 64) if quick else (256, 500, 128)
    draw = np.random.default_rng(0)
    x = draw.standard_normal((members, stimuli, units), np.float32) + draw.standard_normal((stimuli, units), np.float32)

    sample = draw.integers(0, members, (40, 2))
    start = time.perf_counter()
    looped = [one_pair(x[a], x[b]) for a, b in sample]
    loop = (time.perf_counter() - start) / len(sample) * members * (members - 1) / 2

    print(f"{members} members, {stimuli} stimuli, {units} units, float32; seconds of wall time")
    print(f"{'measure':<58}{'first':>8}{'warm':>8}")
    requests = {
        "debiased": [cka.Measure()],
        "both": [cka.Measure(), cka.Measure(debiased=False)],
        "all": [cka.Measure(), cka.Measure(debiased=False), rsa.Measure()],
    }
    warm = {}
    for key, measures in requests.items():
        times = []
        for _ in range(4):
            start = time.perf_counter()
            results = similarities(measures, [x[:, :, None]])
            times.append(time.perf_counter() - start)
        warm[key] = float(np.median(times[1:]))
        name = " + ".join(measure.name for measure in measures)
        name = name if len(name) < 57 else " + ".join(measure.name.split("(")[0] for measure in measures) + ", one walk"
        print(f"{name:<58}{times[0]:>8.2f}{warm[key]:>8.2f}")
        if key == "debiased":
            error = np.abs(results[0].value[tuple(sample.T)] - looped)[sample[:, 0] != sample[:, 1]].max()
    print(f"{f'NumPy loop over pairs, debiased CKA (from {len(sample)} pairs)':<58}{'':>8}{loop:>8.1f}")
    print(f"loop / engine, debiased CKA, warm: {loop / warm['debiased']:.0f}x; largest difference {error:.0e}")


if __name__ == "__main__":
    main()
