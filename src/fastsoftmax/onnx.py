"""The converter that makes a fitted classifier, alone or in a pipeline, an ONNX graph.

Registered with skl2onnx by :func:`register`, and not at import. Nothing else of fastsoftmax is
needed to convert, nothing of it at all to run the graph. Called by users.
"""

import numpy as np

from .estimators import (
    LogisticRegression,
    LogisticRegressionCV,
    SoftmaxClassifier,
    SoftmaxClassifierCV,
)
from .estimators.coefficients import kernel_model

__all__ = ["register"]

#: The usual ones of skl2onnx's own classifiers.
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}


def register():
    """Teach skl2onnx to convert the package's classifiers; calling it again changes nothing.

    The graph gives labels, and probabilities or, with the option ``raw_scores``, raw predictions
    (for two classes those of both: −r and r). It computes in float64 for float64 input and in
    float32 for any other, whatever the dtype of ``coef_``. Labels are int64 or strings; booleans
    become 0 and 1. Needs the extra ``onnx``.

    Raises
    ------
    ImportError
        If skl2onnx is missing.

    Examples
    --------
    >>> import fastsoftmax.onnx
    >>> from fastsoftmax import SoftmaxClassifier
    >>> from skl2onnx import to_onnx
    >>> from sklearn.datasets import load_digits
    >>> X, y = load_digits(return_X_y=True)
    >>> classifier = SoftmaxClassifier(standardize=True).fit(X, y)
    >>> fastsoftmax.onnx.register()
    >>> graph = to_onnx(classifier, X[:1], options={"zipmap": False})
    >>> [output.name for output in graph.graph.output]
    ['label', 'probabilities']
    """
    try:
        from skl2onnx import update_registered_converter
    except ImportError as error:
        raise ImportError(
            'converting to ONNX needs skl2onnx: pip install "fastsoftmax[onnx]"'
        ) from error
    for estimator in (
        LogisticRegression,
        LogisticRegressionCV,
        SoftmaxClassifier,
        SoftmaxClassifierCV,
    ):
        alias = f"Fastsoftmax{estimator.__name__}"
        update_registered_converter(estimator, alias, _set_shapes, _convert, options=OPTIONS)


def _labels(scope, classifier):
    """The labels as int64 or as text; an error where they are neither."""
    from skl2onnx.common.utils_classifier import get_label_classes

    classes = get_label_classes(scope, classifier)  # codes instead, with the option "nocl"
    if all(isinstance(label, str) for label in classes.tolist()):
        return classes.astype(str)
    labels = classes.astype(np.int64)
    if not np.array_equal(labels, classes):
        raise ValueError(
            f"labels must be integers, booleans or strings in ONNX; got {classes.tolist()[:5]}"
        )
    return labels


def _set_shapes(operator):
    """Types and shapes of the two outputs, labels and probabilities."""
    from skl2onnx.common.data_types import (
        DoubleTensorType,
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    n_samples = operator.inputs[0].get_first_dimension()
    labels = _labels(operator.scope_inst, operator.raw_operator)
    label_type = StringTensorType if labels.dtype.kind == "U" else Int64TensorType
    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    score_type = DoubleTensorType if is_double else FloatTensorType
    operator.outputs[0].set_type(label_type([n_samples]))
    operator.outputs[1].set_type(score_type([n_samples, len(labels)]))


def _convert(scope, operator, container):
    """Add the nodes of one fitted classifier to a graph."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType
    from skl2onnx.proto import onnx_proto

    types = onnx_proto.TensorProto
    classifier = operator.raw_operator
    is_double = isinstance(operator.inputs[0].type, DoubleTensorType)
    proto, dtype = (types.DOUBLE, np.float64) if is_double else (types.FLOAT, np.float32)

    def constant(name, proto, values):
        name = scope.get_unique_variable_name(name)
        content = values.ravel().tolist()
        if proto == types.STRING:  # older versions of onnx would take text for ASCII
            content = [text.encode() for text in content]
        container.add_initializer(name, proto, list(values.shape), content)
        return name

    def node(kind, inputs, output=None, **attributes):
        output = output or scope.get_unique_variable_name(kind.lower())
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, inputs, output, name=name, **attributes)
        return output

    coef, intercept = _both_classes(classifier)
    X = operator.inputs[0].full_name
    if not isinstance(operator.inputs[0].type, (DoubleTensorType, FloatTensorType)):
        X = node("Cast", [X], to=proto)
    label, score = (output.full_name for output in operator.outputs)
    wants_raw = container.get_options(classifier, {"raw_scores": False})["raw_scores"]

    product = node("MatMul", [X, constant("coef", proto, coef.T.astype(dtype))])
    intercept = constant("intercept", proto, intercept.astype(dtype))
    raw = node("Add", [product, intercept], score if wants_raw else None)

    labels = _labels(scope, classifier)
    label_proto = types.STRING if labels.dtype.kind == "U" else types.INT64
    code = node("ArgMax", [raw], axis=1, keepdims=0)
    node("Gather", [constant("classes", label_proto, labels), code], label)

    if wants_raw:
        return
    if len(kernel_model(classifier)[0]) == 1:
        node("Sigmoid", [raw], score)
        return
    if classifier._loss() == "logistic":
        # σ(r) / Σ σ(r) as the softmax of log σ(r): no 0/0 where all vanish. log σ(r) is
        # min(r, 0) − log(1 + exp(−|r|)), since onnxruntime has no Softplus of float64.
        one = constant("one", proto, np.ones(1))
        vanishing = node("Exp", [node("Neg", [node("Abs", [raw])])])
        below = node("Neg", [node("Relu", [node("Neg", [raw])])])
        raw = node("Sub", [below, node("Log", [node("Add", [one, vanishing])])])
    node("Softmax", [raw], score, axis=1)


def _both_classes(classifier):
    """Coef and intercept with a row for each class, of two classes too."""
    coef, intercept = kernel_model(classifier)
    if len(coef) > 1:
        return coef, intercept
    return np.concatenate([-coef, coef]), np.concatenate([-intercept, intercept])
