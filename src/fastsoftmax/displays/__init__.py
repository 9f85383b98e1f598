"""Pictures of training and of what was learned, in scikit-learn's manner.

Each display is made by a class method ``from_...``, holds the numbers it shows, and draws them with
``plot``; matplotlib (extra ``plot``) is imported only then. No training but that of
LearningRateDisplay. Called by users and by the demo.
"""

from .coefficients import CoefficientsDisplay
from .learning_rate import LearningRateDisplay
from .loss_curve import LossCurveDisplay

__all__ = ["CoefficientsDisplay", "LearningRateDisplay", "LossCurveDisplay"]
