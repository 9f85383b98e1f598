// Ranks what the search finds: Sphinx's own scores, but that of two pages that match alike the one of
// the shorter name comes first, `fastsoftmax.SoftmaxClassifier` before
// `fastsoftmax.dask.SoftmaxClassifier`. Sphinx copies it into its search (html_search_scorer), which
// has all of these numbers from here, and declares Scorer again: as a var, so this must be one.

var Scorer = {
  score: ([docname, , , , score]) => score - 0.1 * docname.split(".").length,
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
