"""The command line's commands: ``train``, ``predict``, ``evaluate`` and ``show``.

Thin: files become sources, an estimator does the work, and what came of it is printed. Nothing is
imported here, so that ``fastsoftmax --help`` waits for no library. Called by __main__.py.
"""
