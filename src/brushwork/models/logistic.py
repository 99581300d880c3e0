"""Multinomial logistic regression with L2, solved to convergence for several parts of the rows at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.linalg import solve_triangular

# Of the gradient's norm beside that of the weights, whose penalty balances the losses' gradient at the optimum. The
# penalty's curvature is 1: no weight is further from the optimum than the gradient's norm.
TOLERANCE = 1e-6
_ITERATIONS, _ROUNDS = 60, 20  # with one estimate of the curvature; such estimates
_MEMORY = 10  # of L-BFGS
_SUFFICIENT = 1e-4  # of the decrease that the gradient promises (Armijo)
_JITTER = 1e-12  # of the mean square of the rows, where there are fewer rows than dimensions


@dataclass(frozen=True)
class Solution:
    """The weights of each problem at a strength: `weight` (problems, width, classes), `bias` (problems, classes).
    `gradient_norm`: (problems,), relative to that of the weights."""

    strength: float
    weight: Tensor
    bias: Tensor
    gradient_norm: Tensor
    iterations: int


def path(
    rows: Tensor,
    labels: Tensor,
    shares: Tensor,
    strengths: Sequence[float],
    classes: int,
    tolerance: float = TOLERANCE,
) -> Iterator[Solution]:
    """Minimise C * (weighted sum of cross-entropies) + |weight|^2 / 2 for each C, each from the solution before.

    This is scikit-learn's LogisticRegression(C=C): the sum is over the rows, the bias is not penalised.

    Args:
        rows: (rows, width), float32 or float64: all is computed in that, but for factors.
        labels: (rows,) int64.
        shares: (rows, problems): the weight of each row in each problem, 0 where it is not in it.
        strengths: C, from the strongest penalty (the smallest C) on.
        tolerance: of the gradient's relative norm, at which a problem is solved.
    """
    centre = rows.mean(0)
    turned, back = _in_few_dimensions(rows - centre)
    problem = _Problem(turned, labels, shares.to(rows), classes)
    parameters = problem.start()
    for strength in strengths:
        parameters, norm, iterations = problem.solve(strength, parameters, tolerance)
        weight = torch.stack([back(one) for one in parameters[:, :-1]])
        yield Solution(strength, weight, parameters[:, -1] - centre @ weight, norm, iterations)


def _in_few_dimensions(rows: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Rows (rows, kept) with the same products in at most as many dimensions as there are rows, and what turns weights
    for these, (kept, classes), into those for the rows as they were, (width, classes).

    The best weights are sums of rows, for the penalty grows with what lies beside these.
    """
    height, width = rows.shape
    if width <= height:
        return rows, lambda weight: weight
    exact = rows.double()
    products = exact @ exact.T
    products.diagonal().add_(_JITTER * products.diagonal().mean().clamp_min(1e-300))
    factor, failed = torch.linalg.cholesky_ex(products)
    if failed:  # equal rows, to the last digit
        products.diagonal().add_(1e3 * _JITTER * products.diagonal().mean())
        factor = torch.linalg.cholesky(products)

    def back(weight: Tensor) -> Tensor:
        return (exact.T @ solve_triangular(factor.T, weight.double(), upper=True)).to(weight)

    return factor.to(rows), back


class _Problem:
    """Several parts of the same rows, each with a problem of its own; parameters are (problems, kept + 1, classes)."""

    def __init__(self, rows: Tensor, labels: Tensor, shares: Tensor, classes: int) -> None:
        self.rows, self.shares, self.classes = rows, shares, classes
        self.one_hot = torch.nn.functional.one_hot(labels, classes).to(rows)[:, None]  # (rows, 1, classes)
        self.products = (rows.T @ rows).double()  # (kept, kept)

    def start(self) -> Tensor:
        """Zero weights, with the bias that alone explains the classes' shares."""
        problems = self.shares.shape[1]
        parameters = self.rows.new_zeros(problems, self.rows.shape[1] + 1, self.classes)
        counts = self.shares.T @ self.one_hot[:, 0] + 0.5  # (problems, classes)
        parameters[:, -1] = counts.log() - counts.log().mean(1, keepdim=True)
        return parameters

    def _log_probabilities(self, parameters: Tensor) -> Tensor:
        """(rows, problems, classes)."""
        problems = len(parameters)
        flat = parameters[:, :-1].permute(1, 0, 2).reshape(-1, problems * self.classes)
        logits = (self.rows @ flat).view(-1, problems, self.classes) + parameters[:, -1]
        return logits.log_softmax(2)

    def loss_and_gradient(self, parameters: Tensor, strength: float) -> tuple[Tensor, Tensor]:
        """(problems,) and (problems, kept + 1, classes)."""
        problems, weight = len(parameters), parameters[:, :-1]
        log_probabilities = self._log_probabilities(parameters)
        shares = self.shares * strength
        losses = -(log_probabilities * self.one_hot).sum(2)  # (rows, problems)
        loss = (shares * losses).sum(0, dtype=torch.float64) + weight.square().sum((1, 2), dtype=torch.float64) / 2
        residual = shares[:, :, None] * (log_probabilities.exp() - self.one_hot)  # (rows, problems, classes)
        gradient = torch.empty_like(parameters)
        gradient[:, :-1] = (self.rows.T @ residual.flatten(1)).view(-1, problems, self.classes).permute(1, 0, 2)
        gradient[:, :-1] += weight
        gradient[:, -1] = residual.sum(0)
        return loss, gradient

    def solve(self, strength: float, start: Tensor, tolerance: float) -> tuple[Tensor, Tensor, int]:
        """Parameters, the gradient's relative norm (problems,), and the iterations."""
        parameters, iterations = start, 0
        for _ in range(_ROUNDS):
            parameters, norm, more = self._descend(strength, parameters, tolerance)
            iterations += more
            if (norm <= tolerance).all() or more == 0:
                break
            # Where answers are certain the loss is flatter, and the estimate was too high.
            weights = self._curvature_of_rows(parameters)
            self.products = (self.rows.T @ (self.rows * weights[:, None])).double() * self.classes
        return parameters, norm, iterations

    def _curvature_of_rows(self, parameters: Tensor) -> Tensor:
        """(rows,): how fast a row's probabilities change with its logits, 1 / classes where all are equal."""
        found = self._log_probabilities(parameters).exp()
        return (found * (1 - found)).sum(2).mean(1) / (self.classes - 1)

    def _descend(self, strength: float, start: Tensor, tolerance: float) -> tuple[Tensor, Tensor, int]:
        """L-BFGS for all problems at once, as `solve`, for some iterations.

        It works in variables in which the curvature is about 1, by a Cholesky factor of an estimate of it: at first
        of that which the loss has where all classes are equally probable, where a path begins.
        """
        scale = strength / self.classes * self.shares.sum(0).mean().item()
        curvature = self.products * (scale / len(self.rows))
        curvature.diagonal().add_(1)
        factor = torch.linalg.cholesky(curvature).to(start)  # lower
        of_bias = scale**-0.5

        def at(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """The loss, its gradient by variables, and the relative norm of that by parameters."""
            loss, gradient = self.loss_and_gradient(parameters, strength)
            norm = _norm(gradient) / torch.maximum(_norm(parameters[:, :-1]), least)
            return loss, _by_columns(gradient, lambda flat: solve_triangular(factor, flat, upper=False), of_bias), norm

        def parameters_of(variables: Tensor) -> Tensor:
            return _by_columns(variables, lambda flat: solve_triangular(factor.T, flat, upper=True), of_bias)

        # Rows that tell nothing have weights of about 0.
        least = (_norm(self.loss_and_gradient(torch.zeros_like(start), strength)[1]) * 1e-4).clamp_min(1e-30)
        parameters = start
        loss, gradient, norm = at(parameters)
        steps: list[tuple[Tensor, Tensor, Tensor]] = []  # of variables, of gradients, 1 / their products (problems,)
        for iteration in range(_ITERATIONS):  # noqa: B007
            if (norm <= tolerance).all():
                break
            direction = _direction(gradient, steps)
            slope = _dot(direction, gradient)
            along = parameters_of(direction)
            step = (norm > tolerance).to(start)  # a problem that is solved rests
            for _ in range(30):
                tried = parameters + step[:, None, None] * along
                new_loss, new_gradient, norm = at(tried)
                # Near the optimum rounding hides the decrease of the loss, but not the fall of the slope.
                enough = new_loss <= loss + _SUFFICIENT * step * slope
                enough |= _dot(direction, new_gradient).abs() <= 0.9 * slope.abs()
                if (enough | (step == 0)).all():
                    break
                step = torch.where(enough, step, step / 2)
            else:
                break  # no digit is left to gain
            change, difference = step[:, None, None] * direction, new_gradient - gradient
            product = _dot(change, difference)
            # Without curvature along the step (a problem at rest) the pair counts for nothing.
            steps = [*steps, (change, difference, torch.where(product > 0, 1 / product, 0.0))][-_MEMORY:]
            parameters, loss, gradient = tried, new_loss, new_gradient
        else:
            iteration = _ITERATIONS
        return parameters, norm, iteration


def _by_columns(values: Tensor, solve: Callable[[Tensor], Tensor], of_bias: float) -> Tensor:
    """`solve` for the weights of all problems at once, each a column, and a factor for the biases."""
    problems, _, classes = values.shape
    solved = values * of_bias
    flat = values[:, :-1].permute(1, 0, 2).reshape(-1, problems * classes)
    solved[:, :-1] = solve(flat).view(-1, problems, classes).permute(1, 0, 2)
    return solved


def _norm(values: Tensor) -> Tensor:
    """(problems,)."""
    return values.flatten(1).norm(dim=1)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    """(problems,)."""
    return (first * second).sum((1, 2))


def _direction(gradient: Tensor, steps: Sequence[tuple[Tensor, Tensor, Tensor]]) -> Tensor:
    """L-BFGS's two loops (Nocedal and Wright 2006, algorithm 7.4), for each problem."""
    direction, shares = -gradient, []
    for change, difference, inverse in reversed(steps):
        share = inverse * _dot(change, direction)
        direction = direction - share[:, None, None] * difference
        shares.append(share)
    if steps:
        _, difference, inverse = steps[-1]
        squares = _dot(difference, difference) * inverse
        direction = direction * torch.where(squares > 0, 1 / squares, 1.0)[:, None, None]
    for (change, difference, inverse), share in zip(steps, reversed(shares), strict=True):
        direction = direction + (share - inverse * _dot(difference, direction))[:, None, None] * change
    return direction
