"""Gradient descent against SGD, momentum and AdaGrad on digits: their loss curves in one picture.

Same objective, same start (zeros), 30 epochs each; gradient descent takes all rows as one batch,
the others 32 rows a step. Prints loss and accuracy. Saves optimizers_on_digits.png.

    python examples/optimizers_on_digits.py [folder for pictures]
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from fastsoftmax import SoftmaxClassifier

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# Learning rates: of 1, 2 and 5 times a power of ten, the one with the lowest loss at the end.
OPTIMIZERS = {
    "gradient descent": {"momentum": 0.0, "learning_rate": 10, "batch_size": 10**6},
    "SGD": {"momentum": 0.0, "learning_rate": 1, "batch_size": 32},
    "SGD with momentum": {"momentum": 0.9, "learning_rate": 0.2, "batch_size": 32},
    "AdaGrad": {"solver": "adagrad", "learning_rate": 0.5, "batch_size": 32},
}
N_EPOCHS = 30


def main(folder):
    """Train with each optimiser, print how far it came and draw the way."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, random_state=0)
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    print(f"{'':<18} loss after 1, {N_EPOCHS} epochs   test accuracy")
    for name, parameters in OPTIMIZERS.items():
        classifier = SoftmaxClassifier(
            standardize=True, max_iter=N_EPOCHS, tol=None, random_state=0, **parameters
        ).fit(X_train, y_train)
        # loss_curve_ is the mean of each epoch's losses as they were met.
        loss = classifier.loss_curve_
        accuracy = classifier.score(X_test, y_test)
        print(f"{name:<18} {loss[0]:8.3f} {loss[-1]:8.3f}        {accuracy:12.1%}")
        rate = parameters["learning_rate"]
        axes.semilogy(np.arange(1, len(loss) + 1), loss, label=f"{name}, η = {rate}")
    axes.set(xlabel="epoch", ylabel="objective", title="1347 handwritten digits, z-scored")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    figure.savefig(folder / "optimizers_on_digits.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
