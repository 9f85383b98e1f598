"""Anything thrown at the public functions and estimators: a right answer, or an error that names.

Shapes from 0 on, every dtype, stride, order and byte order, memory maps, masked and object arrays,
lists, frames, every sparse format with unsorted, repeated, explicitly zero and malformed entries;
parameters at random. ``make test`` takes a fixed small number of examples, ``make fuzz`` as many
new ones as FASTSOFTMAX_FUZZ says.
"""

import os
import re
import tempfile
import warnings

import numpy as np
import pytest
from scipy import sparse
from scipy.special import log_softmax as scipy_log_softmax
from scipy.special import logsumexp as scipy_logsumexp
from sklearn.base import clone

import fastsoftmax
from fastsoftmax import LogisticRegression, SoftmaxClassifier, SoftmaxClassifierCV

hypothesis = pytest.importorskip("hypothesis")
from hypothesis import strategies as st  # noqa: E402

EXAMPLES = int(os.environ.get("FASTSOFTMAX_FUZZ", "0"))
fuzzed = hypothesis.settings(
    max_examples=EXAMPLES or 40,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    suppress_health_check=list(hypothesis.HealthCheck),
)

pytestmark = pytest.mark.filterwarnings("ignore")

#: What an error of ours or of scikit-learn's may be called, and one of the words that it must hold:
#: the argument that is wrong, or what is wrong with it in scikit-learn's own words.
ERRORS = (ValueError, TypeError)
NAMED = re.compile(
    r"raw_prediction|y_true|sample_weight|y_val|X|y\b|labels?|class|out\b|axis|n_jobs|params|velocity"
    r"|gradient|accumulator|learning_rate|momentum|epsilon|alpha|tol|feature|sample|array|dtype|sparse"
    r"|values|ddof|parameter|scoring|cv|fold|solver|schedule|penalty|indices|indptr|matrix"
    r"|Complex data|float\(\) argument|could not convert"
)

FLOATS = ("float16", "float32", "float64")
DTYPES = (*FLOATS, "bool", "int8", "uint8", "int16", "uint16", "int32", "int64", "uint64")
ODD_DTYPES = ("longdouble", "complex64", "object", "U3", "datetime64[s]", ">f4", ">f8", ">i2")


@st.composite
def arrays(draw, shapes, dtypes=DTYPES + ODD_DTYPES):
    """An ndarray of any dtype that lies in memory in any way."""
    shape, dtype = draw(shapes), np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    scale = draw(st.sampled_from([0.0, 1.0, 1.0, 1e3, 1e30, 1e300]))
    values = np.asarray(rng.normal(size=shape))
    with np.errstate(all="ignore"):
        values = values * scale
        values = np.asarray(values).astype(dtype)
    for special in draw(st.lists(st.sampled_from(["nan", "inf", "huge"]), max_size=1)):
        if values.size and values.dtype.kind == "f" and values.dtype.itemsize <= 8:
            info = np.finfo(values.dtype.newbyteorder("="))
            values.flat[rng.integers(values.size)] = (
                info.max if special == "huge" else float(special)
            )
    return lay_out(draw, values)


def lay_out(draw, values):
    """The same values in another order, with gaps, backwards, unaligned, read-only or in a file."""
    way = draw(st.sampled_from(["C", "F", "gaps", "backwards", "unaligned", "read-only", "map"]))
    if values.dtype == object or values.ndim == 0:
        return values
    if way == "F":
        return np.asfortranarray(values)
    if way == "gaps":
        wide = np.zeros((*values.shape[:-1], 2 * values.shape[-1]), values.dtype)
        wide[..., ::2] = values
        return wide[..., ::2]
    if way == "backwards":
        return values[::-1].copy()[::-1]
    if way == "unaligned":
        memory = np.zeros(values.nbytes + 1, np.uint8)[1:]
        memory[:] = np.frombuffer(values.tobytes(), np.uint8)
        return memory.view(values.dtype).reshape(values.shape)
    if way == "read-only":
        values.setflags(write=False)
    if way == "map" and values.size:
        with tempfile.TemporaryFile() as file:
            file.write(values.tobytes())
            file.flush()
            return np.memmap(file, values.dtype, "r", shape=values.shape)
    return values


@st.composite
def containers(draw, array):
    """An array as it is, or in another container that scikit-learn's users have."""
    values = draw(array)
    kind = draw(st.sampled_from(["array", "array", "array", "list", "masked", "frame", "sparse"]))
    if kind == "list":
        return values.tolist()
    if kind == "masked":
        return np.ma.masked_array(values, mask=False)
    if kind == "frame" and values.ndim == 2:
        pandas = pytest.importorskip("pandas")
        return pandas.DataFrame(values, columns=[f"c{i}" for i in range(values.shape[1])])
    if (
        kind == "sparse"
        and values.ndim == 2
        and values.dtype.kind in "fiu"
        and values.dtype.isnative
    ):
        return draw(sparse_matrices(st.just(values)))
    return values


@st.composite
def sparse_matrices(draw, array):
    """Any sparse format of these values; CSR with repeated, unsorted, zero or malformed entries."""
    values = np.array(draw(array), order="C")
    if values.dtype.itemsize > 8 or values.dtype == np.float16:
        values = values.astype(np.float64)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    with np.errstate(all="ignore"):
        matrix = sparse.csr_array(values * (rng.random(values.shape) < 0.4))
    form = draw(st.sampled_from(["csr", "csr", "csr", "csc", "coo", "lil", "dok", "bsr"]))
    if form != "csr":
        return matrix.asformat(form)
    index = draw(st.sampled_from([np.int32, np.int64, ">i4", np.uint32]))
    matrix.indices, matrix.indptr = matrix.indices.astype(index), matrix.indptr.astype(index)
    flaw = draw(st.sampled_from(["none", "none", "unsorted", "repeated", "zeros", *MALFORMED]))
    if flaw == "unsorted":
        for i in range(matrix.shape[0]):
            held = slice(int(matrix.indptr[i]), int(matrix.indptr[i + 1]))
            order = rng.permutation(held.stop - held.start)
            matrix.indices[held] = matrix.indices[held][order]
            matrix.data[held] = matrix.data[held][order]
    elif flaw == "repeated":
        doubled = (np.repeat(matrix.data / 2, 2), np.repeat(matrix.indices, 2), matrix.indptr * 2)
        matrix = sparse.csr_array(doubled, shape=matrix.shape)
    elif flaw == "zeros" and len(matrix.data):
        matrix.data[rng.integers(len(matrix.data))] = 0
    elif flaw in MALFORMED and len(matrix.indices):
        MALFORMED[flaw](matrix, rng)
    matrix.has_canonical_format = matrix.has_sorted_indices = False  # nothing is known
    return matrix


def _damage_index(value):
    def damage(matrix, rng):
        matrix.indices = matrix.indices.astype(np.int64)
        matrix.indices[rng.integers(len(matrix.indices))] = value

    return damage


def _damage_pointer(value):
    def damage(matrix, rng):
        matrix.indptr = matrix.indptr.astype(np.int64)
        matrix.indptr[rng.integers(len(matrix.indptr))] = value

    return damage


MALFORMED = {
    "column out of range": _damage_index(10**6),
    "negative column": _damage_index(-1),
    "column beyond 32 bits": _damage_index(2**32),
    "pointer that falls": _damage_pointer(-5),
    "pointer beyond the data": _damage_pointer(10**9),
}


def outcome(function):
    """What it gives, or None after an error that names what was wrong."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return function()
        except ERRORS as error:
            message = str(error)
    assert NAMED.search(message), message
    return None


# --- Functions ------------------------------------------------------------------------------------

SHAPES = st.lists(st.integers(0, 40), max_size=3).map(tuple)
ROW_FUNCTIONS = {
    "softmax": lambda raw: np.exp(scipy_log_softmax(raw, axis=-1)),
    "log_softmax": lambda raw: scipy_log_softmax(raw, axis=-1),
    "logsumexp": lambda raw: scipy_logsumexp(raw, axis=-1),
}


@pytest.mark.parametrize("name", ROW_FUNCTIONS)
@fuzzed
@hypothesis.given(raw=containers(arrays(SHAPES)), n_jobs=st.sampled_from([None, 1, 2, 3]))
def test_functions_of_rows(name, raw, n_jobs):
    before = np.array(raw, copy=True) if isinstance(raw, np.ndarray) else None
    result = outcome(lambda: getattr(fastsoftmax, name)(raw, n_jobs=n_jobs))
    if before is not None and before.dtype.kind not in "OM":
        np.testing.assert_array_equal(raw, before)
    if result is None or not np.size(result):
        return
    values = np.asarray(raw, np.float64)
    if not values.size or not np.isfinite(values).all() or np.abs(values).max() > 1e4:
        return  # finite and right beyond that too: tests of the functions themselves
    expected = ROW_FUNCTIONS[name](values)
    narrow = getattr(result, "dtype", np.float64)
    tolerance = 64 * np.finfo(narrow).eps
    np.testing.assert_allclose(
        np.asarray(result, np.float64), expected, rtol=tolerance, atol=tolerance
    )


@fuzzed
@hypothesis.given(
    raw=containers(arrays(SHAPES)),
    y_true=st.one_of(arrays(SHAPES), st.lists(st.integers(-2, 40), max_size=40)),
    weight=st.one_of(st.none(), arrays(SHAPES), st.floats()),
)
def test_functions_of_targets(raw, y_true, weight):
    for name in ("cross_entropy", "cross_entropy_gradient"):
        outcome(lambda name=name: getattr(fastsoftmax, name)(raw, y_true, sample_weight=weight))
        classes = np.shape(raw)[-1] if np.ndim(raw) else 0
        if classes and np.ndim(raw) == 2 and not sparse.issparse(raw):
            codes = np.arange(len(np.asarray(raw))) % classes
            result = outcome(lambda name=name, codes=codes: getattr(fastsoftmax, name)(raw, codes))
            values = np.asarray(raw)
            if result is not None and values.dtype.kind == "f" and np.isfinite(values).all():
                assert not np.isnan(np.asarray(result, float)).any() or len(values) == 0


@fuzzed
@hypothesis.given(
    params=arrays(SHAPES),
    state=arrays(SHAPES),
    gradient=arrays(SHAPES),
    rate=st.floats(),
    momentum=st.floats(),
)
def test_updates(params, state, gradient, rate, momentum):
    outcome(
        lambda: fastsoftmax.momentum_update(
            params, state, gradient, learning_rate=rate, momentum=momentum
        )
    )
    outcome(lambda: fastsoftmax.adagrad_update(params, state, gradient, learning_rate=rate))


@fuzzed
@hypothesis.given(X=containers(arrays(SHAPES)), ddof=st.integers(-1, 3))
def test_zscore_and_one_hot(X, ddof):
    outcome(lambda: fastsoftmax.zscore(X, ddof=ddof))
    outcome(lambda: fastsoftmax.one_hot(X))


# --- Estimators -----------------------------------------------------------------------------------

MATRICES = st.tuples(st.integers(0, 40), st.integers(0, 12))


@st.composite
def labels(draw, n_samples):
    kind = draw(st.sampled_from(["int", "int", "text", "bool", "float", "array", "list"]))
    n_classes = draw(st.integers(1, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    codes = rng.integers(0, n_classes, n_samples)
    if kind == "array":
        return draw(arrays(st.just((n_samples,))))
    values = {
        "int": lambda: codes,
        "text": lambda: np.array(list("abcdef"))[codes],
        "bool": lambda: codes > 0,
        "float": lambda: codes.astype(float),
        "list": codes.tolist,
    }[kind]()
    return values


PARAMETERS = {
    "solver": ["auto", "lbfgs", "sgd", "adagrad", "newton"],
    "multi_class": ["softmax", "ovr"],
    "alpha": [0.0, 1e-300, 1e-12, 1e-4, 10.0, -1.0, np.nan],
    "label_smoothing": [0.0, 0.3, 1.0],
    "learning_rate": ["auto", 1e-3, 1e30, 0.0],
    "schedule": ["auto", "constant", "adaptive", "linear", "cosine", "inverse_time", "exponential"],
    "momentum": [0.9, 0.0, 1.0],
    "nesterov": [False, True],
    "batch_size": [128, 1, 7, 10**9, 0],
    "max_iter": [None, 1, 5, 7, 0],
    "tol": [1e-5, 0.0, None, 1e-12, -1],
    "early_stopping": [False, True],
    "validation_fraction": [0.1, 5, 0.9, 1000],
    "scoring": ["loss", None, "accuracy", "neg_log_loss", "nonsense"],
    "standardize": [False, True, "sample", "other"],
    "weight_init": ["zeros", "normal"],
    "fit_intercept": [True, False],
    "class_weight": [None, "balanced", {0: 2.0}, {}],
    "shuffle": [True, False],
    "n_jobs": [1, 2, 3, None, -1, 0, 10**12],
    "dtype": [None, "float32", "float64", "int8"],
}


@st.composite
def parameters(draw, known):
    """A few parameters away from their defaults."""
    names = draw(st.lists(st.sampled_from(sorted(known)), max_size=4, unique=True))
    return {name: draw(st.sampled_from(known[name])) for name in names}


def check_fitted(classifier, X):
    """What holds of every fitted classifier, whatever it was fitted to."""
    assert np.isfinite(classifier.coef_).all()
    assert np.isfinite(classifier.intercept_).all()
    probability = outcome(lambda: classifier.predict_proba(X))
    if probability is not None and len(probability):
        assert (probability >= 0).all()
        np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-3)
        predicted = classifier.predict(X)
        assert set(np.unique(predicted).tolist()) <= set(classifier.classes_.tolist())
    if hasattr(classifier, "suboptimality_bound_"):
        assert 0 <= classifier.suboptimality_ <= classifier.suboptimality_bound_


@fuzzed
@hypothesis.given(data=st.data())
def test_softmax_classifier(data):
    X = data.draw(containers(arrays(MATRICES)))
    y = data.draw(labels(len(X) if not sparse.issparse(X) else X.shape[0]))
    weight = data.draw(st.one_of(st.none(), st.none(), arrays(st.just((len(y),)), FLOATS)))
    settings = data.draw(parameters(PARAMETERS))
    classifier = SoftmaxClassifier(**{"random_state": 0, "max_iter": 20, **settings})
    before = X.copy() if isinstance(X, np.ndarray) or sparse.issparse(X) else None
    if outcome(lambda: classifier.fit(X, y, sample_weight=weight)) is not None:
        check_fitted(classifier, X)
        other = data.draw(containers(arrays(MATRICES)))
        outcome(lambda: classifier.predict(other))
        outcome(lambda: classifier.score(X, y))
        outcome(lambda: classifier.set_params(warm_start=True).fit(X, y))
    else:
        assert not hasattr(classifier, "coef_")
    if isinstance(before, np.ndarray) and before.dtype != object:
        np.testing.assert_array_equal(X, before)
    elif before is not None and before.format == "csr":
        np.testing.assert_array_equal(X.data, before.data)
        np.testing.assert_array_equal(X.indices, before.indices)


@fuzzed
@hypothesis.given(data=st.data())
def test_partial_fit(data):
    known = PARAMETERS.keys() - {"early_stopping", "validation_fraction", "scoring", "max_iter"}
    settings = data.draw(parameters({name: PARAMETERS[name] for name in known}))
    classifier = SoftmaxClassifier(**{"random_state": 0, "solver": "sgd", **settings})
    n_features = data.draw(st.integers(0, 6))
    for _ in range(3):
        n_samples = data.draw(st.integers(0, 30))
        X = data.draw(containers(arrays(st.just((n_samples, n_features)))))
        y = np.arange(n_samples) % 3
        weight = data.draw(st.one_of(st.none(), arrays(st.just((n_samples,)), FLOATS)))
        before = {k: v for k, v in vars(classifier).items() if k.endswith("_")}
        fit = outcome(lambda X=X, y=y, w=weight: classifier.partial_fit(X, y, [0, 1, 2], w))
        if fit is None:
            now = {k: v for k, v in vars(classifier).items() if k.endswith("_")}
            assert now.keys() == before.keys()
            assert all(now[name] is before[name] for name in now)
        else:
            check_fitted(classifier, X)
        changed = data.draw(parameters({name: PARAMETERS[name] for name in ("momentum", "alpha")}))
        classifier.set_params(**changed)


OTHERS = {
    "LogisticRegression": (
        LogisticRegression,
        {
            "penalty": ["deprecated", None, "l2", "l1"],
            "C": [1.0, np.inf, 1e-12, 1e12, 0.0],
            "tol": [1e-4, 0.0, 1e-12],
            "max_iter": [100, 1, 3],
            "solver": ["lbfgs", "saga", "liblinear"],
            "fit_intercept": [True, False],
            "class_weight": [None, "balanced", {0: 2.0}],
            "n_jobs": [1, 2, None],
        },
    ),
    "SoftmaxClassifierCV": (
        SoftmaxClassifierCV,
        {
            "alphas": [2, [1e-3, 1.0], [0.0, 1e-300], [-1.0], 1],
            "cv": [2, 3, 50],
            "scoring": [None, "loss", "neg_log_loss"],
            "multi_class": ["softmax", "ovr"],
            "standardize": [False, True],
            "fit_intercept": [True, False],
            "max_iter": [None, 2],
            "n_jobs": [1, 2],
        },
    ),
}


@pytest.mark.parametrize("name", OTHERS)
@fuzzed
@hypothesis.given(data=st.data())
def test_other_classifiers(name, data):
    make, known = OTHERS[name]
    X = data.draw(containers(arrays(MATRICES)))
    y = data.draw(labels(X.shape[0] if sparse.issparse(X) else len(X)))
    defaults = {"alphas": 2, "cv": 2} if make is SoftmaxClassifierCV else {}
    classifier = make(**defaults | data.draw(parameters(known)))
    if outcome(lambda: classifier.fit(X, y)) is not None:
        check_fitted(classifier, X)
        outcome(lambda: clone(classifier).fit(X, y))
    else:
        assert not hasattr(classifier, "coef_")
