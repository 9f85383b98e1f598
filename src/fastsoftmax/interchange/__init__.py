"""Ways out of the process: files that can't execute code, pickles, scikit-learn's own classes.

They know an estimator by its parameters and attributes alone, and compute nothing.
"""
