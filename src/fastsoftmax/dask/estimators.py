"""The estimators of rows on a cluster: those of rows in memory, fitted by way of a ClusterSource.

Parameters, attributes and all that is fitted are theirs. Predictions of collections are lazy.
"""

from functools import partial, wraps

import numpy as np
from dask import delayed
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from .. import estimators as in_memory
from ..problem.scan import Rows, scan
from ..sources.base import Block
from .collections import ClusterSource, is_dask, names_of, rows_of_collection
from .first_pass import scan_cluster

__all__ = ["LogisticRegression", "SoftmaxClassifier"]

#: Beside the parameters: what belongs to a process, and is neither copied nor kept.
OF_PROCESS = ("client",)

scan.register(ClusterSource, scan_cluster)


def _lazy(method):
    """The same method, which of a collection of Dask's gives an array of Dask's."""
    name = method.__name__

    @wraps(method)
    def predict(self, X):
        return self._by_blocks(name, X) if is_dask(X) else method(self, X)

    return predict


class OnCluster:
    """What makes an estimator of rows in memory one of rows on a cluster.

    It comes before the estimator's class among the bases.

    Parameters
    ----------
    client : distributed.Client or None, default=None
    max_memory : int, default=256 MiB
    **parameters
        Of the estimator in memory.
    """

    def __init__(self, *, client=None, max_memory=256 << 20, **parameters):
        super().__init__(**parameters)
        self.client = client
        self.max_memory = max_memory

    @classmethod
    def _get_param_names(cls):
        return sorted([*cls._in_memory._get_param_names(), "max_memory"])

    def fit(self, X, y=None, sample_weight=None, **more):
        """Fit to the minimum; blocks stay on their workers.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
            Blocks of rows, dense or of scipy's sparse matrices. Columns of a dataframe are numbers,
            or lists of numbers of one length. It is kept on the cluster while the fit runs: what
            ``persist`` has put there already takes no more room.
        y : dask.array.Array or dask.dataframe.Series of shape (n_samples,)
            Labels of any type that sorts, of at least two classes.
        sample_weight : dask.array.Array or dask.dataframe.Series of shape (n_samples,), or None
            Not negative, not all 0.
        **more
            ``X_val``, ``y_val``, ``sample_weight_val`` (in memory), ``checkpoint`` and ``resume``
            of ``SoftmaxClassifier.fit``.

        Returns
        -------
        self : estimator

        Raises
        ------
        ValueError, TypeError
            As the estimator in memory raises them; of a block, it is named. The estimator is then
            as it was.
        ClusterError
            If rows are gone for good, or the cluster is. The estimator is then as it was.
        KeyboardInterrupt
            On Ctrl-C; after the first pass, the estimator is that of the passes done.
        """
        if not is_dask(X):
            raise TypeError(
                f"X must be a Dask array or dataframe; got {type(X).__name__}, which "
                f"fastsoftmax.{type(self).__name__} takes"
            )
        for name, given in more.items():
            if is_dask(given):
                raise TypeError(f"{name} must be in memory; got {type(given).__name__}")
        self._check_solver()
        return super().fit(self._source(X, y, sample_weight), **more)

    def _source(self, X, y, sample_weight):
        """The blocks of collections."""
        n_threads = 1 if self.n_jobs is None else max(1, int(self.n_jobs))
        return ClusterSource(X, y, sample_weight, self.client, self.max_memory, n_threads)

    def _check_solver(self):
        """An error where the rows would have to be here."""

    @_lazy
    def predict(self, X):
        """Label of the largest raw prediction.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame, or as in memory

        Returns
        -------
        labels : dask.array.Array or ndarray of shape (n_samples,)
            Of a collection lazy, in its blocks.
        """
        return super().predict(X)

    @_lazy
    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame, or as in memory

        Returns
        -------
        probability : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Of a collection lazy, in its blocks.
        """
        return super().predict_proba(X)

    @_lazy
    def predict_log_proba(self, X):
        """Logarithm of the probability of each class.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame, or as in memory

        Returns
        -------
        log_probability : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Of a collection lazy, in its blocks.
        """
        return super().predict_log_proba(X)

    @_lazy
    def decision_function(self, X):
        """Raw predictions, ``X @ coef_.T + intercept_``.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame, or as in memory

        Returns
        -------
        raw_prediction : dask.array.Array or ndarray of shape (n_samples, n_classes)
            Or (n_samples,) for two classes. Of a collection lazy, in its blocks.
        """
        return super().decision_function(X)

    def _by_blocks(self, name, X):
        """What a method gives of each block of a collection, as an array of Dask's."""
        check_is_fitted(self)
        X, model = self._rows(X)
        n_columns = self._n_columns(name)
        shape = {"drop_axis": 1} if n_columns is None else {"chunks": (X.chunks[0], (n_columns,))}
        dtype = self.classes_.dtype
        if name != "predict":
            wide = self._predicts_wide_rows_in_float64 and X.dtype == np.float64
            dtype = np.dtype(np.float64) if wide else self.coef_.dtype
        meta = np.empty((0,) if n_columns is None else (0, n_columns), dtype)
        return X.map_blocks(
            partial(_predicted, name, meta=meta),
            model=delayed(model),
            dtype=dtype,
            meta=meta,
            **shape,
        )

    def _n_columns(self, name):
        """Columns of what a method gives, or None where it gives one number a row."""
        n_classes = len(self.classes_)
        if name == "predict" or (name == "decision_function" and len(self.coef_) == 1):
            return None
        return n_classes

    def _rows(self, X):
        """The rows of a collection whose columns are checked, and a model that knows no names."""
        model = self.to_local()
        names = names_of(X)
        if names is not None and hasattr(self, "feature_names_in_"):
            known = self.feature_names_in_
            if not np.array_equal(names, known):
                raise ValueError(
                    f"X must have the columns that the fit had, {known.tolist()}; got "
                    f"{names.tolist()}"
                )
        vars(model).pop("feature_names_in_", None)
        return rows_of_collection(X), model

    def score(self, X, y=None, sample_weight=None):
        """Share of the rows whose label is predicted, which is computed at once.

        Parameters
        ----------
        X : dask.array.Array or dask.dataframe.DataFrame, or as in memory
        y : dask.array.Array or dask.dataframe.Series, or as in memory
        sample_weight : the same as y, or None

        Returns
        -------
        accuracy : float
        """
        if not is_dask(X):
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        _, model = self._rows(X)
        source = self._source(X, y, sample_weight)
        blocks = [(number, *parts) for number, parts in enumerate(source.started())]
        hit, total = source.cluster.total(_hits, _sum, blocks, model, source.name)
        if not total > 0:
            raise ValueError(f"{source.name} holds no rows of a weight above 0")
        return hit / total

    def to_local(self):
        """Give the estimator of rows in memory that this one is, with all that was fitted.

        Returns
        -------
        estimator : fastsoftmax.SoftmaxClassifier or fastsoftmax.LogisticRegression
            It shares its arrays with this one.
        """
        local = self._in_memory()
        own = (*OF_PROCESS, "max_memory")
        vars(local).update({name: v for name, v in vars(self).items() if name not in own})
        return local

    def save(self, path):
        """Write the estimator of :meth:`to_local` to a file.

        Parameters
        ----------
        path : str or path-like
            As in ``SoftmaxClassifier.save``.
        """
        self.to_local().save(path)

    def __getstate__(self):
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name not in OF_PROCESS}

    def __setstate__(self, state):
        super().__setstate__({**dict.fromkeys(OF_PROCESS), **state})


class SoftmaxClassifier(OnCluster, in_memory.SoftmaxClassifier):
    """Softmax regression of rows on a Dask cluster: :class:`fastsoftmax.SoftmaxClassifier` there.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        None for the default one. It is no parameter to scikit-learn: copies have None.
    max_memory : int, default=256 MiB
        Of it a quarter is for a sample of the rows, which is gathered here. Fewer rows than that
        are all gathered, and fitted in memory.
    **parameters
        Of :class:`fastsoftmax.SoftmaxClassifier`. ``n_jobs`` is the threads of each task: None is
        one, as Dask runs as many tasks at once as a worker has threads. ``solver`` is "auto" or
        "lbfgs".

    Notes
    -----
    Attributes are those of the estimator in memory, and so is the minimum. The same blocks give the
    same bits at any number of workers, if their processors run the same kernels.

    Examples
    --------
    A cluster of threads in this process, in the place of a real one:

    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax.dask import SoftmaxClassifier
    >>> X, y = load_digits(n_class=4, return_X_y=True)
    >>> with Client(processes=False, dashboard_address=None) as client:
    ...     X, y = da.from_array(X, chunks=(200, -1)), da.from_array(y, chunks=200)
    ...     classifier = SoftmaxClassifier(max_memory=1 << 20, random_state=0).fit(X, y)
    ...     print(classifier.converged_, classifier.predict(X[:3]).compute())
    True [0 1 2]
    """

    _in_memory = in_memory.SoftmaxClassifier
    _parameter_constraints = {  # noqa: RUF012, scikit-learn's own form
        **in_memory.SoftmaxClassifier._parameter_constraints,
        "max_memory": [int, np.integer],
    }

    def __init__(self, *, client=None, max_memory=256 << 20, **parameters):
        super().__init__(client=client, max_memory=max_memory, **parameters)

    def _check_solver(self):
        if self.solver in ("sgd", "adagrad", "dual") or self.early_stopping:
            given = "early_stopping=True" if self.early_stopping else f"solver={self.solver!r}"
            raise ValueError(
                f"{given} needs epochs over all rows, which stay on their workers; use "
                "solver='auto' or 'lbfgs', without early_stopping"
            )

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """As of the estimator in memory, of rows in memory.

        Parameters
        ----------
        X, y, classes, sample_weight : as in ``SoftmaxClassifier.partial_fit``

        Returns
        -------
        self : SoftmaxClassifier
        """
        if is_dask(X):
            raise TypeError("partial_fit takes rows in memory, or use fit; got a Dask collection")
        return super().partial_fit(X, y, classes, sample_weight)


class LogisticRegression(OnCluster, in_memory.LogisticRegression):
    """Logistic regression of rows on a Dask cluster: :class:`fastsoftmax.LogisticRegression` there.

    Parameters
    ----------
    client : distributed.Client or None, default=None
    max_memory : int, default=256 MiB
        Both as in :class:`SoftmaxClassifier` of this module.
    **parameters
        Of :class:`fastsoftmax.LogisticRegression`; ``n_jobs`` as in :class:`SoftmaxClassifier`.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_iris
    >>> from fastsoftmax.dask import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> with Client(processes=False, dashboard_address=None) as client:
    ...     X, y = da.from_array(X, chunks=(50, -1)), da.from_array(y, chunks=50)
    ...     print(LogisticRegression(C=10).fit(X, y).predict(X[:3]).compute())
    [0 0 0]
    """

    _in_memory = in_memory.LogisticRegression
    _parameter_constraints = {  # noqa: RUF012
        **in_memory.LogisticRegression._parameter_constraints,
        "max_memory": [int, np.integer],
    }

    def __init__(self, *, client=None, max_memory=256 << 20, **parameters):
        super().__init__(client=client, max_memory=max_memory, **parameters)


def _predicted(name, X, model, meta):
    """What a method of a model gives of a block, on one thread; ``meta`` is that of no rows."""
    if X.shape[0] == 0:
        return meta
    model.n_jobs = 1
    return getattr(model, name)(X)


def _hits(number, X, y, sample_weight, model, name):
    """Weight of the rows of a block that are predicted right, and of all."""
    rows = Rows.of(Block(number, X, y, sample_weight), _Named(name))
    weight = np.ones(len(rows.y)) if rows.sample_weight is None else rows.sample_weight
    if not weight.any():
        return 0.0, 0.0
    labels = _predicted("predict", X, model, None)
    hit = accuracy_score(rows.y, labels, sample_weight=weight, normalize=False)
    return float(hit), float(weight.sum())


class _Named:
    """Something with a name."""

    def __init__(self, name):
        self.name = name


def _sum(total, result):
    return tuple(a + b for a, b in zip(total, result, strict=True))
