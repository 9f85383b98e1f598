"""
Text by tf-idf
==============

Which package of Python's library does a paragraph document? Paragraphs of docstrings become sparse
rows by ``TfidfVectorizer``, and those go to the optimum by dual coordinate ascent, which proves how
near it is.
"""

import ast
import sysconfig
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from fastsoftmax import SoftmaxClassifier

PACKAGES = ["asyncio", "concurrent", "email", "importlib", "json", "unittest", "xml"]


def paragraphs(package):
    """Those of the docstrings of a package of the standard library."""
    for path in sorted((Path(sysconfig.get_path("stdlib")) / package).rglob("*.py")):
        if "test" in path.parent.name and package != "unittest":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
                for text in (ast.get_docstring(node) or "").split("\n\n"):
                    if len(text) > 60:
                        yield text


documents = [(text, package) for package in PACKAGES for text in paragraphs(package)]
texts, labels = zip(*documents, strict=True)
texts, texts_test, labels, labels_test = train_test_split(texts, labels, random_state=0)

# %%
# A pipeline
# ----------
# Nothing is to be set but the penalty.

model = make_pipeline(
    TfidfVectorizer(sublinear_tf=True, stop_words="english"),
    SoftmaxClassifier(alpha=3e-4, random_state=0),
)
model.fit(texts, labels)
vectorizer, classifier = (step for _, step in model.steps)

print(f"{len(texts)} paragraphs, {classifier.n_features_in_} words, {len(PACKAGES)} packages")
print(f"held out: {model.score(texts_test, labels_test):.1%} right")
print(f"{classifier.n_iter_} epochs, proved within {classifier.suboptimality_bound_:.0e}")

# %%
# How it came there
# -----------------
# The gap bounds how far the objective is above its minimum. The last one is proved; those before
# are estimated on the way.

history = classifier.history_
figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
axes.semilogy(history["epoch"], history["gap"], "o-")
axes.axhline(classifier.tol, color="0.4", linestyle="--", linewidth=1)
axes.annotate("tol", (1, classifier.tol), (0, 4), textcoords="offset points")
axes.set(xlabel="epoch", ylabel="duality gap", xlim=(0.8, history["epoch"][-1] + 0.2))
axes.grid(alpha=0.3)

# %%
# The words that speak for each
# -----------------------------

words = vectorizer.get_feature_names_out()
for package, coef in zip(classifier.classes_, classifier.coef_, strict=True):
    print(f"{package:12} {', '.join(words[np.argsort(coef)[:-6:-1]])}")
