"""The diagram of an estimator, as notebooks show it, links to the estimator's page of the site."""

import re
from pathlib import Path

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr

import fastsoftmax
from fastsoftmax.estimators import base

SITE = "https://docs.example/fastsoftmax"
API = (Path(__file__).parent.parent / "docs" / "api.rst").read_text(encoding="utf-8")

CLASSIFIERS = [
    fastsoftmax.LogisticRegression,
    fastsoftmax.LogisticRegressionCV,
    fastsoftmax.SoftmaxClassifier,
    fastsoftmax.SoftmaxClassifierCV,
]


@pytest.fixture
def known_site(monkeypatch):
    monkeypatch.setattr(base, "site", lambda: SITE)


def _links(estimator):
    """Addresses of whole pages in its diagram."""
    return set(re.findall(r'href="([^"#]+)"', estimator_html_repr(estimator)))


@pytest.mark.parametrize("classifier", CLASSIFIERS, ids=lambda classifier: classifier.__name__)
@pytest.mark.usefixtures("known_site")
def test_links_to_its_page(classifier):
    assert _links(classifier()) == {f"{SITE}/api/fastsoftmax.{classifier.__name__}.html"}
    assert f"    {classifier.__name__}\n" in API


@pytest.mark.usefixtures("known_site")
def test_links_to_its_page_on_a_cluster():
    pytest.importorskip("distributed")
    from fastsoftmax.dask import SoftmaxClassifier

    page = f"{SITE}/api/fastsoftmax.dask.SoftmaxClassifier.html"
    assert SoftmaxClassifier()._get_doc_link() == page


@pytest.mark.usefixtures("known_site")
def test_links_of_a_pipeline():
    links = _links(make_pipeline(StandardScaler(), fastsoftmax.SoftmaxClassifier()))
    assert f"{SITE}/api/fastsoftmax.SoftmaxClassifier.html" in links
    assert any("sklearn.preprocessing.StandardScaler" in link for link in links)


@pytest.mark.usefixtures("known_site")
def test_a_class_of_a_users_own_has_no_page():
    class Mine(fastsoftmax.SoftmaxClassifier):
        pass

    assert _links(Mine()) == set()


def test_no_link_where_no_site_is_known(monkeypatch):
    monkeypatch.setattr(base, "site", lambda: None)
    assert _links(fastsoftmax.SoftmaxClassifier()) == set()


@pytest.mark.parametrize(
    ("urls", "found"),
    [
        ([], None),
        (["Source, https://code.example"], None),
        (["Source, https://code.example", f"Documentation, {SITE}/"], SITE),
    ],
)
def test_site_is_what_the_metadata_say(urls, found, monkeypatch):
    class Metadata:
        def get_all(self, name, otherwise):
            assert name == "Project-URL"
            return urls or otherwise

    monkeypatch.setattr(base.metadata, "metadata", lambda name: Metadata())
    assert base.site.__wrapped__() == found


def test_no_site_is_known_of_a_package_that_is_not_installed(monkeypatch):
    monkeypatch.setattr(base, "PACKAGE", "fastsoftmax-that-is-not-there")
    assert base.site.__wrapped__() is None
