"""What is minimised, over which rows: checked data, weights, units and the objective itself.

Nothing is trained here. The kernels are called here and by optimization/curvature.py.
"""
