"""SoftmaxClassifier with the settings of plain minibatch descent, nothing chosen from the data.

For tests of what an epoch does: the default solver chooses its own learning rate and goes on to the
optimum.
"""

from fastsoftmax import SoftmaxClassifier

__all__ = ["sgd_classifier"]


def sgd_classifier(**parameters):
    settings = {"solver": "sgd", "learning_rate": 0.01, "schedule": "constant"}
    settings |= {"max_iter": 20, "tol": 1e-4}
    return SoftmaxClassifier(**settings | parameters)
