"""SoftmaxClassifier: the scikit-learn face of softmax regression.

Parameters, attributes and what is said at the end. What parameters mean to training is in
settings.py, and a fit is fitting.py's. X is not copied. A call that fails leaves the estimator as
it was: attributes are set last.
"""

import warnings
from copy import copy
from dataclasses import replace

from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model._base import LinearClassifierMixin

from ..callbacks import CallbackSupportMixin, FitTask, with_callbacks
from ..interchange.files import savable
from ..optimization.fitting import fit
from ..problem.checks import check_batch, check_data, check_source
from ..problem.held_out import SetAside
from ..sources.base import Source
from .base import LinearClassifier, inverse_strength, raise_if_interrupted
from .memory import remember, remembered, set_fitted, starting_point, unchanged_on_failure
from .parameters import (
    PARAMETER_CONSTRAINTS,
    check_parameters,
    check_parameters_of_partial_fit,
)
from .resuming import check_checkpoint, journal_of
from .settings import most_iterations, settings_of

__all__ = ["SoftmaxClassifier"]


@savable
class SoftmaxClassifier(CallbackSupportMixin, LinearClassifier, LinearClassifierMixin):
    """Softmax regression (multinomial logistic regression) that needs no tuning.

    Minimises, over coef W of shape (n_classes, n_features) and intercept b ::

        (1/Σᵢ sᵢ) Σᵢ sᵢ · D(S(W xᵢ + b), onehot(yᵢ)) + (α/2)·‖W‖²

    S is softmax, D cross-entropy, sᵢ the sample weight times the class weight, xᵢ the row, z-scored
    with ``standardize``. With two classes W has one row w and D is the logistic loss. ``alpha`` is
    1 / (C · n_samples) of scikit-learn's ``LogisticRegression``, for any number of classes.

    Matrices of uint8, int8, int16, float16, bfloat16 (of ``ml_dtypes``), float32 and float64 are
    read where they lie, whatever their strides: no copy of X is made. See ``dtype`` for the rest.

    Sparse X (scipy's CSR matrices and arrays of float32 or float64, with indices of 32 or 64 bits)
    is read where it lies too, and never made dense. Other sparse formats and dtypes are converted
    first, which takes a copy of the values held. ``standardize`` divides sparse X by σ and doesn't
    centre it, which leaves the minimum where it is, as the intercept is free.

    Parameters
    ----------
    solver : {"auto", "dual", "lbfgs", "sgd", "adagrad"}, default="auto"
        "auto" goes to the optimum: a few epochs of "sgd", then L-BFGS over all rows in coordinates
        made round by the curvature that a sample of the rows shows [4]_ [5]_, until it is within
        ``tol``; for sparse X of short rows beside ``alpha``, it is "dual". With ``early_stopping``,
        and in ``partial_fit``, it is "sgd". "lbfgs" leaves the epochs out. "dual" is dual
        coordinate ascent [8]_, an epoch after the other until a duality gap proves ``tol``; it
        takes sparse X and ``alpha`` above 0, and L-BFGS goes on where 30 epochs are not enough.
        "sgd" is minibatch descent with ``momentum`` [2]_. "adagrad" divides each
        weight's steps by the root of its sum of squared gradients [3]_, without momentum.
    multi_class : {"softmax", "ovr"}, default="softmax"
        "ovr" minimises instead the sum of n_classes logistic losses, one a class against the rest.
        The same for two classes.
    alpha : float in [0, inf), default=1e-4
        Strength of the L2 penalty. The intercept is not penalised.
    label_smoothing : float in [0, 1), default=0.0
        ε of the targets (1 − ε)·onehot(yᵢ) + ε/n_classes that take onehot(yᵢ)'s place [7]_; with
        "ovr", ε/2 for each of its losses. Probabilities then stay away from 0 and 1.
    learning_rate : float in (0, inf) or "auto", default="auto"
        At the start. "auto" takes what the curvature [6]_ and the noise of the gradients of a
        sample of the rows allow, and looks at the noise again after the first epoch. Halved
        wherever it makes training diverge; see Notes.
    schedule : {"auto", "constant", "adaptive", "inverse_time", "exponential", "linear", "cosine"}
        How the learning rate η falls over t, the epochs done so far (fractional within an epoch):
        η / (1 + decay·t), η·exp(−decay·t), η·(1 − t/max_iter), η·½(1 + cos(π t/max_iter)).
        "adaptive" divides it by 5 where training would stop by ``tol``, four times at most. "auto",
        the default, is "linear" for ``learning_rate="auto"`` and "constant" else, both with the
        divisions of "adaptive" unless ``early_stopping`` is on; in ``partial_fit`` it is
        "constant".
    decay : float in [0, inf), default=0.1
        Of the schedules "inverse_time" and "exponential".
    momentum : float in [0, 1), default=0.9
        γ of v ← γv + ηg; W ← W − v. Not used by "adagrad".
    nesterov : bool, default=False
        W ← W − (γv + ηg) in place of W ← W − v. Needs minibatches and ``momentum`` above 0.
    batch_size : int in [1, inf), default=128
        Rows a step. n_samples and more is plain gradient descent.
    max_iter : int in [1, inf) or None, default=None
        At most so many epochs, those of L-BFGS (evaluations over all rows) included. None: 1000 for
        the solvers that go to the optimum; for "sgd" and "adagrad" as many as make 2800 steps, but
        from 6 to 100, and spending them is no failure and is not warned of.
    tol : float in [0, inf) or None, default=1e-5
        The suboptimality that the solvers to the optimum stop at, estimated, in units of the mean
        cross-entropy. Minibatch training stops when, for ``n_iter_no_change`` epochs in a row,
        ``loss_curve_`` has not come more than ``tol`` below its best; with ``early_stopping``, when
        ``validation_scores_`` has not come more than ``tol`` above its best. None: never before
        ``max_iter``.
    n_iter_no_change : int in [1, inf), default=5
        See ``tol``.
    early_stopping : bool, default=False
        Let the score on rows that are not trained on decide when to stop, and give ``coef_`` of the
        epoch where it was best: on ``X_val`` of ``fit``, or else on ``validation_fraction``.
    validation_fraction : float in (0, 1) or int in [1, inf), default=0.1
        Share or number of the rows to set aside, of each class alike, when ``early_stopping`` has
        no ``X_val``. They count for nothing else, ``standardize`` included.
    scoring : str, callable or None, default="loss"
        The score: "loss", the loss that is minimised, with its sign turned and without penalty and
        ``label_smoothing``; any of scikit-learn's names or a scorer of the form
        ``scorer(estimator, X, y)``, with ``sample_weight`` if it takes that; None for ``score``,
        the accuracy. The higher the better. Scorers other than "loss" are given a copy of the rows
        set aside.
    standardize : bool or {"population", "sample"}, default=False
        Train on z-scores (x − mean)/σ, with σ² the mean squared deviation ("population", or True)
        or its sum over Σ ``sample_weight`` − 1 ("sample"). ``coef_`` and ``intercept_`` are in the
        units of X all the same. A constant feature is divided by 1.
    weight_init : {"zeros", "normal"}, default="zeros"
        Where coef starts; "normal" draws with standard deviation ``init_scale``. The objective is
        convex, so that this matters for experiments alone. The intercept starts at 0.
    init_scale : float in [0, inf), default=0.01
        Of ``weight_init="normal"``.
    fit_intercept : bool, default=True
        If False, b is 0. With ``standardize``, ``intercept_`` is then what centring alone brings.
    class_weight : dict {label: weight}, "balanced" or None, default=None
        "balanced" weighs a class by Σs / (n_classes · Σs of the class).
    shuffle : bool, default=True
        Take the rows in a new random order each epoch.
    random_state : int, RandomState instance or None, default=None
        For the order of rows and ``weight_init="normal"``.
    n_jobs : int or None, default=None
        Threads, at most: where other programs keep the cores busy, fewer take part. None and -1:
        the cores this process may use, within OMP_NUM_THREADS, its control group and
        threadpoolctl; -2: one fewer. A number is taken up to eight times the machine's cores.
        Coefficients are the same bit for bit at any value.
    dtype : {"float32", "float64"}, the NumPy type of that name or None, default=None
        What is computed in, and the dtype of ``coef_``. None: float64 for float64, float32 for the
        other matrices that are read where they lie. Anything else (bool, int64, lists, ...) is
        first converted: to ``dtype``, or for None to float64. None keeps to the dtype of the first
        call in ``partial_fit``.
    warm_start : bool, default=False
        ``fit`` starts from the ``coef_`` and ``intercept_`` of the last fit, which must have had
        the same classes and number of features; the optimiser starts anew.
    callbacks : list of callables or None, default=None
        Each is called at the end of every epoch with a :class:`fastsoftmax.callbacks.EpochInfo`,
        which holds the numbers of ``history_`` and, on access, a fitted copy of the estimator;
        training ends after an epoch for which one of them gives something true. scikit-learn's own
        callbacks, from its version 1.9 on, are set by ``set_callbacks``.
    verbose : int in [0, inf) or bool, default=0
        Above 0: a tqdm bar where it is installed, else a line an epoch on stderr.

    Attributes
    ----------
    coef_ : ndarray of shape (n_classes, n_features), or (1, n_features) for two classes
        In the units of X.
    intercept_ : ndarray of shape (n_classes,), or (1,) for two classes
    classes_ : ndarray of shape (n_classes,)
        Sorted labels.
    n_iter_ : int
        Epochs and iterations run; epochs repeated after divergence are not counted.
    converged_ : bool
        Whether ``suboptimality_`` came to ``tol``, or as near as the dtype can tell. This and the
        next two are of the solvers to the optimum alone.
    suboptimality_ : float
        Estimate of how far the objective is above its minimum: ½ gᵀH⁻¹g of its gradient g and its
        Hessian H, of all rows where they are few, else of a sample of them. Mostly within a factor
        of 2 of the truth near the minimum. Of "dual" it is the bound itself.
    suboptimality_bound_ : float
        How far it is above it at most, up to rounding errors: a duality gap, which is
        ‖∇F‖²/(2 alpha), F being the objective with the best intercept for given coef. Often a
        hundred times the truth. Never more than the objective, as the loss is not negative; for
        ``alpha=0``, where there may be no minimum, it is that, and the estimate is all that says
        more.
    learning_rate_ : float
        At the start, in the units of X; only where minibatches were trained on.
    loss_curve_ : float64 ndarray of shape (`n_iter_`,)
        Objective of each epoch: the mean over its rows of each loss as it was met, before that
        minibatch's step, plus the penalty at the epoch's end. It lags the objective at the end of
        the epoch, and costs nothing. Of an iteration over all rows, the objective at its end.
    history_ : dict of ndarrays of shape (`n_iter_`,)
        What ``pandas.DataFrame`` takes. "epoch" from 1 on; "objective", which is ``loss_curve_``;
        "loss", the same without the penalty; "gradient_norm", in the units that training runs in
        (see Notes), NaN where it isn't known, as always with minibatches; "learning_rate" of the
        last minibatch, 1 for an iteration of L-BFGS; "seconds" of the epoch, without validation and
        callbacks; "validation_score", NaN where there is none; "gap" of dual coordinate ascent, how
        far the objective is above its minimum at most in the end, and before that an estimate, NaN
        of other epochs; "suboptimality", an estimate of the same, half the Newton decrement: by the
        Hessian where that was asked, else by the model that the solver steps by, and then often too
        low by some times; "suboptimality_bound", what is proved at the epoch: by the dual where it
        measures its gap, by Newton's method at the last, by L-BFGS without an intercept, NaN of
        other epochs; "n_halvings", how often the epoch diverged and the learning rate was halved;
        "plateau", 1 where training had stalled at its end and the learning rate was lowered.
    validation_scores_ : float64 ndarray of shape (`n_iter_`,)
        The score at the end of each epoch; only of a fit with ``early_stopping`` or ``X_val``.
    best_iter_ : int
        The first epoch, from 1 on, of the best of ``validation_scores_``; only with these.
    mean_, scale_ : float64 ndarrays of shape (n_features,)
        What ``standardize`` subtracted and divided by; only if it is on.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Only if X had string column names.

    Warns
    -----
    ConvergenceWarning
        Once, at the end: if ``tol`` was not reached, by how much and what to do; or if a learning
        rate that was given had to be halved.

    Notes
    -----
    When an epoch diverges (its objective, or that of a sample of rows at its end, is not finite or
    is above 3 times both that of the start and that of zero weights), its steps are undone, the
    learning rate is halved and the epoch is repeated over the same order of rows. ``coef_`` is
    always finite.

    Without ``standardize`` the solvers to the optimum, and ``learning_rate="auto"``, train about
    the mean of a sample of the rows where that or a feature's own is far from 0, and with one power
    of two for all features where their size is far from 1. The minimum is the same, and ``coef_``
    is given in the units of X.

    The solvers to the optimum copy X, as float64, where that is up to 32 MB and the unknowns are
    up to 400: Newton's method then takes every feature in its own unit. So they do, up to 160 MB,
    where there are fewer rows than features.

    A row with ``sample_weight`` 0 is left out: the fit is that of a matrix without it.

    Ctrl-C ends ``fit`` with KeyboardInterrupt after the epoch that runs. The estimator is then
    fitted, as if ``max_iter`` had been the number of epochs done; before the first of them has
    ended, it is as it was before.

    References
    ----------
    .. [1] Bishop, "Pattern Recognition and Machine Learning", 2006, section 4.3.4.
    .. [2] Sutskever, Martens, Dahl, Hinton, "On the importance of initialization and momentum in
       deep learning", ICML 2013.
    .. [3] Duchi, Hazan, Singer, "Adaptive subgradient methods for online learning and stochastic
       optimization", JMLR 12, 2011.
    .. [4] Nocedal, Wright, "Numerical Optimization", 2006, section 7.2.
    .. [5] Martens, Grosse, "Optimizing neural networks with Kronecker-factored approximate
       curvature", ICML 2015.
    .. [6] Böhning, "Multinomial logistic regression algorithm", Annals of the Institute of
       Statistical Mathematics 44, 1992.
    .. [7] Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture for
       computer vision", CVPR 2016, section 7.
    .. [8] Shalev-Shwartz, Zhang, "Accelerated proximal stochastic dual coordinate ascent for
       regularized loss minimization", Mathematical Programming 155, 2016.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from fastsoftmax import SoftmaxClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SoftmaxClassifier(standardize=True, random_state=0).fit(X, y)
    >>> bool(classifier.score(X, y) > 0.95)
    True
    >>> classifier.converged_, bool(classifier.suboptimality_ <= 1e-5)
    (True, True)
    """

    _parameter_constraints = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        *,
        solver="auto",
        multi_class="softmax",
        alpha=1e-4,
        label_smoothing=0.0,
        learning_rate="auto",
        schedule="auto",
        decay=0.1,
        momentum=0.9,
        nesterov=False,
        batch_size=128,
        max_iter=None,
        tol=1e-5,
        n_iter_no_change=5,
        early_stopping=False,
        validation_fraction=0.1,
        scoring="loss",
        standardize=False,
        weight_init="zeros",
        init_scale=0.01,
        fit_intercept=True,
        class_weight=None,
        shuffle=True,
        random_state=None,
        n_jobs=None,
        dtype=None,
        warm_start=False,
        callbacks=None,
        verbose=0,
    ):
        self.solver = solver
        self.multi_class = multi_class
        self.alpha = alpha
        self.label_smoothing = label_smoothing
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.decay = decay
        self.momentum = momentum
        self.nesterov = nesterov
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.scoring = scoring
        self.standardize = standardize
        self.weight_init = weight_init
        self.init_scale = init_scale
        self.fit_intercept = fit_intercept
        self.class_weight = class_weight
        self.shuffle = shuffle
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.dtype = dtype
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.verbose = verbose

    # --- Training ---------------------------------------------------------------------------------

    def fit(
        self,
        X,
        y=None,
        sample_weight=None,
        *,
        X_val=None,
        y_val=None,
        sample_weight_val=None,
        checkpoint=None,
        resume=False,
    ):
        """Fit from the start, or with ``warm_start`` from where the last fit ended.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features), or a sources.Source
            Finite numbers, also once converted to the dtype that is computed in. A source is read
            block by block, and has its own labels and weights.
        y : array-like of shape (n_samples,)
            Labels of any type that sorts, of at least two classes; None with a source.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Not negative, not all 0. Only their ratios matter.
        X_val, y_val : array-likes of shapes (n_val, n_features) and (n_val,), or both None
            Rows to score at the end of each epoch, with labels that y holds. They decide when to
            stop if ``early_stopping`` is on. X_val may be a source, y_val then being None.
        sample_weight_val : array-like of shape (n_val,), float or None, default=None
            Not negative, not all 0.
        checkpoint : path or None, default=None
            A file to write to what each epoch and each pass over the rows has given, as they end,
            some 8 · n_classes · n_features bytes each. What is there is replaced, unless
            ``resume``. It needs a ``random_state`` that is an int.
        resume : bool, default=False
            Whether to go on from what ``checkpoint`` has, if there is such a file: after the end of
            the process, whatever ended it. The fit ends at the very bits that it would have ended
            at. A fit in fewer passes than that, as of a few thousand values, begins anew.

        Returns
        -------
        self : SoftmaxClassifier

        Raises
        ------
        ValueError
            If a parameter or an argument is out of its range, if ``checkpoint`` is no checkpoint or
            one of another fit, if ``warm_start`` meets other classes
            or another number of features, or if ``validation_fraction`` leaves a part without a
            class. The estimator is then as it was.
        KeyboardInterrupt
            On Ctrl-C. See Notes of the class.
        """
        check_checkpoint(self, checkpoint, resume)
        kept = checkpoint, resume
        fitted = self._fit(X, y, sample_weight, kept, X_val, y_val, sample_weight_val)
        _tell(self, fitted)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        """Train one epoch on these rows, going on from where the last call ended.

        Weights, the state of the optimiser, the learning rate, the time of the schedule, the counts
        of ``class_weight="balanced"`` and, with ``standardize``, the statistics of the columns are
        carried from call to call. Sample weights are divided by their mean over all rows seen so
        far. A call whose rows all weigh 0 is no epoch, and leaves the weights as they are.

        Parameters
        ----------
        X : array-like or sparse matrix of shape (n_samples, n_features)
            Finite numbers, also once converted to the dtype that is computed in.
        y : array-like of shape (n_samples,)
            Labels out of ``classes``.
        classes : array-like of shape (n_classes,) or None, default=None
            Every label there will be. Needed in the first call; later, None or the same again.
        sample_weight : array-like of shape (n_samples,), float or None, default=None
            Not negative.

        Returns
        -------
        self : SoftmaxClassifier

        Raises
        ------
        ValueError
            As ``fit``; or if ``classes`` is missing or changed, y holds a label that isn't in it,
            the schedule needs a known end ("linear", "cosine"), or ``early_stopping`` is on. The
            estimator is then as it was.
        """
        check_parameters(self)
        check_parameters_of_partial_fit(self)
        settings = settings_of(self, 1, is_batch=True)
        with unchanged_on_failure(self):
            memory = remembered(self)
            first = memory.coef is None
            if not first and self.dtype is not None:
                memory = memory.astype(self.dtype)
            data = check_batch(
                self,
                X,
                y,
                classes,
                getattr(self, "classes_", None),
                sample_weight,
                dtype=self.dtype if first else memory.coef.dtype,
                n_jobs=self.n_jobs,
                first=first,
            )
            fitted = fit(data, settings, memory)
            set_fitted(self, data.classes, fitted)
            remember(self, fitted.memory)
        _tell(self, fitted)
        return self

    @with_callbacks
    def _fit(self, X, y, sample_weight, kept, *validation_rows):
        """All of fit but what it has to say at the end, which is said without callbacks around."""
        check_parameters(self)
        data = None
        if isinstance(X, Source):  # how many rows it has is known once it is read
            data, seen = self._read_once(X, y, sample_weight, *validation_rows)
        n_epochs = most_iterations(self, y if data is None else data)
        task = FitTask.of(self, n_epochs, X, y, sample_weight=sample_weight)
        settings = settings_of(self, n_epochs, task)
        with unchanged_on_failure(self):
            if data is not None:
                vars(self).pop("feature_names_in_", None)
                vars(self).update(seen)
            else:
                data = check_data(
                    self,
                    X,
                    y,
                    sample_weight,
                    *validation_rows,
                    dtype=self.dtype,
                    n_jobs=self.n_jobs,
                    set_aside=self._set_aside(),
                    shows_rows=settings.scoring.scorer is not None,
                )
            self._check_dual(data)
            with journal_of(self, data, *kept) as journal:
                settings = replace(settings, journal=journal)
                fitted = fit(data, settings, starting_point(self, data))
            set_fitted(self, data.classes, fitted)
            remember(self, fitted.memory)
        if task is not None:
            task.end()
        return fitted

    def _set_aside(self):
        """What part of the rows to validate on, where none are given."""
        if not self.early_stopping:
            return None
        return SetAside(self.validation_fraction, self.random_state)

    def _read_once(self, source, y, sample_weight, X_val, *of_validation):
        """The data of a source, and what the estimator is to know of its features."""
        if self.early_stopping and X_val is None:
            raise ValueError(
                "early_stopping=True needs X_val and y_val with a source, which has no rows to set "
                "aside"
            )
        other = copy(self)
        data = check_source(
            other,
            source,
            y,
            sample_weight,
            X_val,
            *of_validation,
            dtype=self.dtype,
            n_jobs=self.n_jobs,
            standardize=self.standardize,
            shows_rows=self.scoring != "loss",
        )
        names = "n_features_in_", "feature_names_in_"
        return data, {name: vars(other)[name] for name in names if name in vars(other)}

    def _check_dual(self, data):
        """An error where dual coordinate ascent is asked for what it can't do."""
        if self.solver != "dual":
            return
        if not data.is_sparse:
            raise ValueError(
                "solver='dual' needs X to be sparse, a CSR matrix or array; got dense X, for "
                "which use solver='auto'"
            )
        if not data.is_held:
            raise ValueError(
                "solver='dual' needs all rows in memory; with a source use solver='auto', or raise "
                "its max_memory to four times what the rows take"
            )

    def _inverse_strength(self):
        """The ``C`` of scikit-learn's that is this penalty."""
        return inverse_strength(self.alpha, self._weight_sum)


def _tell(estimator, fitted):
    """Interruption, the optimum missed, divergence; called by a method that the user calls."""
    raise_if_interrupted(fitted)
    history, outcome = fitted.history, fitted.outcome
    if outcome is not None and not outcome.converged and estimator.tol is not None:
        is_float32 = estimator.coef_.dtype == "float32"
        other = "use dtype='float64'" if is_float32 else "use standardize=True"
        remedy = {
            "max_iter": f"raise max_iter above {estimator.n_iter_}, or standardize=True",
            "rounding": f"{estimator.coef_.dtype} allows no more; {other}, or a higher tol",
            "stopped": "a callback stopped it",
        }[outcome.reason]
        message = (
            f"after {estimator.n_iter_} iterations the objective is an estimated "
            f"{outcome.suboptimality:.2g} above its minimum, and at most "
            f"{outcome.suboptimality_bound:.2g}; tol={estimator.tol:g} was asked for: {remedy}"
        )
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
    # The program's own choice of rate, and what L-BFGS goes on from, are its own affair.
    if history.n_halvings == 0 or (estimator.learning_rate == "auto" and not history.gave_up):
        return
    now = estimator.learning_rate_ * 0.5**estimator._n_halvings
    message = (
        f"training diverged: the learning rate was halved {history.n_halvings} times, "
        f"from {now * 2.0**history.n_halvings:.3g} to {now:.3g}"
    )
    if history.gave_up:
        message += ", and given up then; coef_ is that of the last good epoch"
    message += ". Choose a lower learning_rate, or standardize=True."
    warnings.warn(message, ConvergenceWarning, stacklevel=3)
