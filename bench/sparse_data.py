"""Text to fit as sparse rows: 20 newsgroups, what scikit-learn says of itself, and drawn words.

The set of newsgroups is read from the folder FASTSOFTMAX_DATA; the docstrings are those of the
scikit-learn that is installed, a document each, and the class is the part of it that they are in.
Called by bench_sparse.py.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import sklearn
from scipy.sparse import csr_matrix
from sklearn.feature_extraction.text import HashingVectorizer, TfidfVectorizer
from sklearn.preprocessing import normalize

from bench.test_sparse import load

#: Documents of a part of scikit-learn from which it is a class.
FEWEST = 100


@dataclass(frozen=True, eq=False)
class TextProblem:
    """Sparse rows, class codes from 0, and the penalty."""

    name: str
    X: csr_matrix
    y: np.ndarray
    alpha: float

    def objective(self, coef, intercept):
        """The objective, from its definition and in float64."""
        coef = np.asarray(coef, np.float64)
        raw = self.X.astype(np.float64) @ coef.T + intercept
        raw -= raw.max(axis=1, keepdims=True)
        loss = np.log(np.exp(raw).sum(axis=1)) - raw[np.arange(len(raw)), self.y]
        return float(loss.mean() + self.alpha / 2 * np.square(coef).sum())

    def one_vs_rest(self, coef, intercept):
        """The sum over classes of logistic objectives whose penalty is on intercepts as well."""
        raw = self.X.astype(np.float64) @ np.asarray(coef, np.float64).T + intercept
        is_own = self.y[:, None] == np.arange(raw.shape[1])
        loss = np.logaddexp(0, np.where(is_own, -raw, raw)).mean(axis=0).sum()
        return float(loss + self.alpha / 2 * (np.square(coef).sum() + np.square(intercept).sum()))


@cache
def docstrings():
    """Documents and the part of scikit-learn of each."""
    documents, parts = [], []
    root = Path(sklearn.__file__).parent
    for path in sorted(root.rglob("*.py")):
        part = path.relative_to(root).parts[0]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                text = ast.get_docstring(node)
                for paragraph in (text or "").split("\n\n"):
                    if len(paragraph) > 40:
                        documents.append(paragraph)
                        parts.append(part)
    names, codes, counts = np.unique(parts, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(counts[codes] >= FEWEST)
    _, codes = np.unique(codes[kept], return_inverse=True)
    assert len(names) > codes.max()
    return [documents[i] for i in kept], codes.astype(np.int32)


def newsgroups():
    """Words by tf-idf, of length 1."""
    return load()


def characters():
    """2 to 4 characters running within words, by tf-idf."""
    documents, y = docstrings()
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), dtype=np.float32)
    return vectorizer.fit_transform(documents), y


def hashed():
    """Words and pairs of them, hashed to 2**18 features."""
    documents, y = docstrings()
    vectorizer = HashingVectorizer(ngram_range=(1, 2), n_features=2**18, dtype=np.float32)
    return vectorizer.transform(documents), y


def zipf(n_samples=100_000, n_features=50_000, n_classes=10, n_words=10):
    """Short documents of words by Zipf's law, a third of them in an order of each class's own."""
    rng = np.random.default_rng(0)
    share = 1 / np.arange(1, n_features + 1)
    ends = np.cumsum(share / share.sum())
    y = rng.integers(0, n_classes, n_samples).astype(np.int32)
    word = np.searchsorted(ends, rng.random((n_samples, n_words))).clip(0, n_features - 1)
    orders = np.array([rng.permutation(n_features) for _ in range(n_classes)])
    own = rng.random(word.shape) < 1 / 3
    word = np.where(own, orders[y[:, None], word], word)
    starts = np.arange(0, word.size + 1, n_words)
    X = csr_matrix((np.ones(word.size, np.float32), word.ravel(), starts), (n_samples, n_features))
    X.sum_duplicates()
    lengths = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    X.data /= np.repeat(lengths, np.diff(X.indptr)).astype(np.float32)
    return X, y


def words(n_samples, n_features, n_classes, n_words):
    """Common words, and a fifth of them of its class; of length 1."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, n_classes, n_samples)
    word = (n_features * rng.random((n_samples, n_words)) ** 3).astype(int)
    own = rng.random(word.shape) < 0.2
    word[own] = ((word + 1) * (y[:, None] + 1) * 37 % n_features)[own]
    starts = np.arange(0, word.size + 1, n_words)
    X = csr_matrix((np.ones(word.size), word.ravel(), starts), (n_samples, n_features))
    X.sum_duplicates()
    X.data = np.log1p(X.data)
    return normalize(X).astype(np.float32), y


#: name → function that makes X and y.
TEXTS = {
    "20 newsgroups tf-idf": newsgroups,
    "docstrings, characters": characters,
    "docstrings, hashed words": hashed,
    "100000 short documents": zipf,
}


def made(name, alpha):
    """The problem of a name of TEXTS.

    Raises
    ------
    OSError or KeyError
        If it is read from a file that isn't in FASTSOFTMAX_DATA.
    """
    return TextProblem(name, *_rows(name), alpha)


@cache
def _rows(name):
    return TEXTS[name]()
