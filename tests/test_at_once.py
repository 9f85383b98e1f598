"""Eight Python threads at once over the same arrays: each gets the bits that it gets alone.

One thread for each way to fit; the functions are tested in test_functional_threads.py, minibatch
SGD of several settings in test_process.py. Without the GIL these run truly at once.
"""

import threading

import numpy as np
import pytest
from scipy.sparse import csr_array

from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV

pytestmark = pytest.mark.alone

RNG = np.random.default_rng(0)
Y = RNG.integers(5, size=1500)
X = (RNG.normal(size=(len(Y), 30)) + RNG.normal(size=(5, 30))[Y] / 2).astype(np.float32)
WORDS = csr_array(np.maximum(X - 1, 0))
WEIGHT = RNG.exponential(size=len(Y))

#: Name → a new estimator, and what it is given. The third is L-BFGS as it is too large for Newton.
FITS = {
    "newton": (lambda: SoftmaxClassifier(), (X, Y)),
    "weighted": (lambda: SoftmaxClassifier(standardize=True), (X, Y, WEIGHT)),
    "descent": (lambda: SoftmaxClassifier(alpha=1e-3), (np.hstack([X] * 20), Y)),
    "dual": (lambda: SoftmaxClassifier(solver="dual", alpha=1e-2), (WORDS, Y)),
    "sgd": (lambda: SoftmaxClassifier(solver="sgd", max_iter=3, tol=None, n_jobs=2), (X, Y)),
    "ovr": (lambda: SoftmaxClassifier(multi_class="ovr"), (X.astype(np.float16), Y)),
    "scikit-learn's": (lambda: LogisticRegression(C=0.1), (X, Y)),
    "path": (lambda: SoftmaxClassifierCV(alphas=[0.1, 0.01], cv=2), (X, Y)),
}


def fitted(name):
    """Coefficients and probabilities of a new fit."""
    make, data = FITS[name]
    model = make()
    if "random_state" in model.get_params():
        model.set_params(random_state=0)
    model.fit(*data)
    return model.coef_, model.intercept_, model.predict_proba(data[0])


def test_eight_ways_to_fit_at_once():
    assert len(FITS) == 8
    alone = {name: fitted(name) for name in FITS}
    before, found, start = X.copy(), {}, threading.Barrier(len(FITS))

    def work(name):
        start.wait()
        found[name] = [fitted(name) for _ in range(3)]

    workers = [threading.Thread(target=work, args=(name,)) for name in FITS]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for name, expected in alone.items():
        for arrays in found[name]:
            for array, same in zip(arrays, expected, strict=True):
                np.testing.assert_array_equal(array, same, err_msg=name)
    np.testing.assert_array_equal(X, before)
