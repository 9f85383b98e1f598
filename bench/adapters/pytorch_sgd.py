"""The training loop that people write in PyTorch, as a whole fit: momentum SGD falling to zero.

Equal work: the mean cross-entropy of a linear layer; weight_decay is alpha and is asked for the
weight alone. Batches of 128, momentum 0.9, a linear fall over the epochs asked for. PyTorch has no
learning rate of its own that suits a data set: the best of a grid after one pass over a tenth of
the rows is taken, outside the clock, which is a gift. There is no stopping rule: as it comes it is
given 20 epochs. Called by bench/run_peer.py.
"""

import math

import torch

BATCH = 128
LEARNING_RATES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
EPOCHS = 20


class PyTorchFit:
    """The effort is the number of epochs."""

    def __init__(self, problem):
        self.problem = problem
        torch.set_num_threads(2)
        self._X = torch.from_numpy(problem.X)
        self._y = torch.from_numpy(problem.y).long()
        torch.manual_seed(0)
        few = torch.randperm(len(self._y))[: max(BATCH, len(self._y) // 10)]
        losses = {}
        for learning_rate in LEARNING_RATES:
            self._train(few, 1, learning_rate)
            with torch.no_grad():
                loss = float(
                    torch.nn.functional.cross_entropy(self._model(self._X[few]), self._y[few])
                )
            losses[learning_rate] = loss if math.isfinite(loss) else math.inf
        self.learning_rate = min(losses, key=losses.get)

    def fit(self, effort):
        """So many epochs."""
        torch.manual_seed(0)
        self._train(None, effort or EPOCHS, self.learning_rate)

    def _train(self, few, epochs, learning_rate):
        model = torch.nn.Linear(self._X.shape[1], self.problem.n_classes)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        groups = [
            {"params": [model.weight], "weight_decay": self.problem.alpha},
            {"params": [model.bias], "weight_decay": 0.0},
        ]
        optimizer = torch.optim.SGD(groups, lr=learning_rate, momentum=0.9)
        n_samples = len(self._y) if few is None else len(few)
        n_steps = epochs * -(-n_samples // BATCH)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / n_steps)
        for _ in range(epochs):
            order = torch.randperm(n_samples)
            for batch in (order if few is None else few[order]).split(BATCH):
                optimizer.zero_grad()
                loss = torch.nn.functional.cross_entropy(model(self._X[batch]), self._y[batch])
                loss.backward()
                optimizer.step()
                schedule.step()
        self._model = model

    def parameters(self):
        """Of the last fit."""
        return self._model.weight.detach().numpy(), self._model.bias.detach().numpy()
