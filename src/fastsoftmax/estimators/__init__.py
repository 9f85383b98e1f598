"""The faces that users see: classifiers in scikit-learn's form, and what they share.

Parameters and attributes are theirs; what is minimised is problem/'s, how is optimization/'s.
"""
