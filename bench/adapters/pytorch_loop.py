"""The training loop that people write in PyTorch: nn.Linear, cross_entropy, backward, SGD.

Equal work: torch's momentum is v ← γ v + g, θ ← θ − η v, the same steps as ours at a constant
learning rate; weight_decay is our alpha and is asked for the weight alone; the rows are gathered
by index from one tensor, which is cheaper than a DataLoader; nothing is read back from a step
but the loss, once an epoch. Called by bench/test_epoch.py, which limits torch's threads.
"""

import torch


class PyTorchLoop:
    """Minibatch SGD with momentum in PyTorch on the CPU."""

    def __init__(self, problem):
        self.problem = problem
        self._X = torch.from_numpy(problem.X)
        self._y_true = torch.from_numpy(problem.y_true).long()
        self._batches = torch.from_numpy(problem.rows).split(problem.batch_size)
        self.reset()

    def reset(self):
        """A new model at zero and a new optimiser."""
        problem = self.problem
        self._model = torch.nn.Linear(problem.X.shape[1], problem.n_classes, dtype=self._X.dtype)
        torch.nn.init.zeros_(self._model.weight)
        torch.nn.init.zeros_(self._model.bias)
        self._optimizer = torch.optim.SGD(
            [
                {"params": [self._model.weight], "weight_decay": problem.alpha},
                {"params": [self._model.bias], "weight_decay": 0.0},
            ],
            lr=problem.learning_rate,
            momentum=problem.momentum,
        )

    def epoch(self):
        """Train once over the rows; give the mean loss."""
        loss_sum = torch.zeros(())
        for batch in self._batches:
            self._optimizer.zero_grad()
            raw_prediction = self._model(self._X[batch])
            loss = torch.nn.functional.cross_entropy(raw_prediction, self._y_true[batch])
            loss.backward()
            self._optimizer.step()
            loss_sum += loss.detach() * len(batch)
        return float(loss_sum) / len(self.problem.rows)

    def coef(self):
        """The coefficients, (n_classes, n_features)."""
        return self._model.weight.detach().numpy().copy()
