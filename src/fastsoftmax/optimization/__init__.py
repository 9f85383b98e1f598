"""How the objective is minimised: minibatch descent, L-BFGS and what both choose from the data.

No labels, no attributes, no files: a Problem and a State come in, a State and a History go out.
"""
