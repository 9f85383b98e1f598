"""One file a peer, each saying how its work is made equal to ours. Nothing is timed here.

An adapter of an epoch is a class made from a :class:`bench.data.Problem`; ``reset()`` puts the
parameters back to zero, ``epoch()`` trains once over the rows and gives the mean loss, and
``coef()`` gives (n_classes, n_features) as NumPy. Called by bench/test_epoch.py.
"""
