"""One file a peer, each saying how its work is made equal to ours. Nothing is timed here.

An adapter of an epoch is a class made from a :class:`bench.data.Problem`; ``reset()`` puts the
parameters back to zero, ``epoch()`` trains once over the rows and gives the mean loss, and
``coef()`` gives (n_classes, n_features) as NumPy. Called by bench/test_epoch.py.

An adapter of a whole fit is a class made from a :class:`bench.fit_data.FitProblem`, its name ends
in ``Fit``. ``fit(effort)`` is what is timed, from the call that a user makes to its return: with
effort None as it comes, else with the cap on its passes or iterations that is the integer
``effort`` and its own stopping rule all but off. ``parameters()`` then gives coef
(n_classes, n_features) and intercept (n_classes,). Called by bench/run_peer.py.
"""
