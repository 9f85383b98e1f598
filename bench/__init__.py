"""Benchmarks: speed against peers and against a limit measured in the same run.

Not part of the installed package and not collected by ``make test``. Run by ``make bench``, or
file by file from the repository's root: ``python -m pytest bench/test_epoch.py``.
"""
