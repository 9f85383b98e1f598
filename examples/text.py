"""Which part of scikit-learn does a paragraph document? Words by tf-idf, in a pipeline.

The documents are the docstrings of the scikit-learn that is installed, a paragraph each. Sparse
rows go to the optimum by dual coordinate ascent, which proves how near it is: prints the epochs,
the proved distance and the accuracy on a quarter of the paragraphs held out, and the words that
speak most for each part. Saves text.png.

    python examples/text.py [folder for pictures]
"""

import ast
import sys
from pathlib import Path

import matplotlib
import numpy as np
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from fastsoftmax import SoftmaxClassifier

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PARTS = ["cluster", "decomposition", "ensemble", "linear_model", "metrics", "neighbors"]


def paragraphs():
    """Paragraphs of docstrings, and the part that each is of."""
    texts, parts = [], []
    for part in PARTS:
        for path in sorted((Path(sklearn.__file__).parent / part).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                    docstring = ast.get_docstring(node) or ""
                    found = [text for text in docstring.split("\n\n") if len(text) > 80]
                    texts += found
                    parts += [part] * len(found)
    return texts, np.array(parts)


def main(folder):
    """Fit, print what was proved and what was learned, and draw the gap of each epoch."""
    texts, parts = paragraphs()
    texts, texts_test, parts, parts_test = train_test_split(texts, parts, random_state=0)
    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, stop_words="english"),
        SoftmaxClassifier(alpha=3e-4, random_state=0),
    )
    model.fit(texts, parts)
    vectorizer, classifier = (step for _, step in model.steps)
    print(f"{len(texts)} paragraphs, {classifier.n_features_in_} words, {len(PARTS)} parts")
    print(f"{classifier.n_iter_} epochs, proved within {classifier.suboptimality_bound_:.0e}")
    print(f"held out: {model.score(texts_test, parts_test):.1%} right")
    words = vectorizer.get_feature_names_out()
    for part, coef in zip(classifier.classes_, classifier.coef_, strict=True):
        print(f"{part:14} {', '.join(words[np.argsort(coef)[:-6:-1]])}")

    history = classifier.history_
    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    axes.semilogy(history["epoch"], history["gap"], "o-")
    axes.axhline(classifier.tol, color="0.4", linestyle="--", linewidth=1)
    axes.annotate("tol", (1, classifier.tol), (0, 4), textcoords="offset points")
    axes.set(xlabel="epoch", ylabel="duality gap", title="How far from the minimum, at most")
    axes.set(xlim=(0.8, history["epoch"][-1] + 0.2))
    axes.grid(alpha=0.3)
    figure.savefig(folder / "text.png", dpi=120)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
