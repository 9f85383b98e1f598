"""The z-score (x − mean) / deviation, in its population form and its sample form.

The columns are hours and attendance of the five students of grades.py. Prints both forms; draws
the students before and after. Saves zscore.png.

    python examples/zscore.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np

from fastsoftmax.functional import zscore

matplotlib.use("Agg")
import matplotlib.pyplot as plt

X = np.array([[10, 5], [9, 5], [3, 2], [2, 4], [11, 1]], dtype=float)


def main(folder):
    """Print the two forms side by side and draw the population form."""
    population, sample = zscore(X), zscore(X, ddof=1)
    print("hours attendance   z (population)     z (sample)")
    for (hours, attendance), first, second in zip(X, population, sample, strict=True):
        print(
            f"{hours:5.0f} {attendance:10.0f}   "
            f"{first[0]:+.3f}  {first[1]:+.3f}     {second[0]:+.3f}  {second[1]:+.3f}"
        )
    for name, scores, ddof in (("population", population, 0), ("sample", sample, 1)):
        means = scores.mean(axis=0).round(12) + 0.0
        deviations = scores.std(axis=0, ddof=ddof).round(12)
        print(f"{name}: means {means}, deviations {deviations}")
    print(f"ratio of the two forms: {population[0, 0] / sample[0, 0]:.4f} = √(5/4)")

    figure, (before, after) = plt.subplots(1, 2, figsize=(9, 4), layout="constrained")
    for axes, values, title in (
        (before, X, "as measured"),
        (after, population, "z-scores (population)"),
    ):
        axes.scatter(*values.T, s=60)
        axes.axvline(values[:, 0].mean(), color="0.6", linestyle=":")
        axes.axhline(values[:, 1].mean(), color="0.6", linestyle=":", label="mean")
        axes.set(xlabel="hours of study", ylabel="attendance", title=title)
    after.set(xlim=(-2, 2), ylim=(-2, 2), aspect="equal")
    before.legend()
    figure.savefig(folder / "zscore.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
