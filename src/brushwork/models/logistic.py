"""Multinomial logistic regression with L2, solved to convergence for several parts of the rows at once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

# Of the gradient's norm beside that of the loss at zero weights. At it logits are within 1e-5 of the optimum's.
TOLERANCE = 1e-7
_MOST_ITERATIONS = 1000
_MEMORY = 10  # of L-BFGS
_SUFFICIENT = 1e-4  # of the decrease that the gradient promises (Armijo)


@dataclass(frozen=True)
class Solution:
    """The weights of each problem at a strength: `weight` (problems, width, classes), `bias` (problems, classes), both
    float64. `gradient_norm`: (problems,), relative to that at zero weights."""

    strength: float
    weight: Tensor
    bias: Tensor
    gradient_norm: Tensor
    iterations: int


def path(rows: Tensor, labels: Tensor, used: Tensor, strengths: Sequence[float], classes: int) -> Iterator[Solution]:
    """Minimise C * (sum of cross-entropies) + |weight|^2 / 2 for each C of `strengths`, each from the one before.

    This is scikit-learn's LogisticRegression(C=C): the sum is over the rows of a problem, the bias is not penalised.

    Args:
        rows: (rows, width), any floating type. labels: (rows,) int64.
        used: (rows, problems) bool: the rows of each problem.
        strengths: C, from the strongest penalty (the smallest C) on.
    """
    basis, turned = _principal(rows.double())  # (width, kept), (rows, kept)
    spread = turned.square().sum(0)  # (kept,), in falling order
    problems = used.shape[1]
    parameters = torch.zeros(problems, len(spread) + 1, classes, dtype=torch.float64, device=rows.device)
    # The bias that alone explains the classes' shares is where the path begins.
    counts = torch.stack([labels[one].bincount(minlength=classes) for one in used.T]).double()
    parameters[:, -1] = (counts + 0.5).log() - (counts + 0.5).log().mean(1, keepdim=True)
    for strength in strengths:
        parameters, norm, iterations = _solve(turned, labels, used, strength, spread, parameters)
        yield Solution(strength, basis @ parameters[:, :-1], parameters[:, -1], norm, iterations)


def _principal(rows: Tensor) -> tuple[Tensor, Tensor]:
    """An orthonormal basis (width, kept) of the space of the rows, by falling variance, and the rows in it.

    The weights lie in that space, for the penalty grows with what lies beside it; in it the problem has at most as many
    dimensions as rows, and the curvature is nearly diagonal.
    """
    height, width = rows.shape
    products = rows.T @ rows if width <= height else rows @ rows.T
    values, vectors = torch.linalg.eigh(products)
    kept = values > values[-1].clamp_min(1e-300) * 1e-12
    values, vectors = values[kept].flip(0), vectors[:, kept].flip(1)
    basis = vectors if width <= height else (rows.T @ vectors) / values.sqrt()
    return basis, rows @ basis


def _solve(
    rows: Tensor, labels: Tensor, used: Tensor, strength: float, spread: Tensor, start: Tensor
) -> tuple[Tensor, Tensor, int]:
    """L-BFGS for all problems at once, in variables in which the curvature is about 1: parameters (problems,
    kept + 1, classes), the gradient's relative norm (problems,), and the iterations."""
    problems, _, classes = start.shape
    weights = used.double() * strength  # (rows, problems)
    share = (1 - 1 / classes) / classes  # of the variance that softmax has where all classes are equal
    fraction = used.double().mean(0)[:, None, None]  # (problems, 1, 1)
    curvature = torch.ones_like(start[:, :, :1])
    curvature[:, :-1] += strength * share * fraction * spread[None, :, None]
    curvature[:, -1:] = strength * share * fraction * len(rows)
    scale = curvature.rsqrt()  # parameters = scale * variables
    one_hot = torch.nn.functional.one_hot(labels, classes).double()[:, None]  # (rows, 1, classes)

    def loss_and_gradient(variables: Tensor) -> tuple[Tensor, Tensor]:
        """(problems,) and (problems, kept + 1, classes)."""
        parameters = scale * variables
        flat = parameters[:, :-1].permute(1, 0, 2).reshape(-1, problems * classes)
        logits = (rows @ flat).view(-1, problems, classes) + parameters[:, -1]
        log_probabilities = logits.log_softmax(2)
        loss = -(weights * (log_probabilities * one_hot).sum(2)).sum(0) + parameters[:, :-1].square().sum((1, 2)) / 2
        residual = weights[:, :, None] * (log_probabilities.exp() - one_hot)  # (rows, problems, classes)
        gradient = torch.empty_like(parameters)
        gradient[:, :-1] = (rows.T @ residual.flatten(1)).view(-1, problems, classes).permute(1, 0, 2)
        gradient[:, :-1] += parameters[:, :-1]
        gradient[:, -1] = residual.sum(0)
        return loss, gradient * scale

    variables = start / scale
    first = loss_and_gradient(torch.zeros_like(variables))[1].flatten(1).norm(dim=1).clamp_min(1e-300)
    loss, gradient = loss_and_gradient(variables)
    steps: list[tuple[Tensor, Tensor, Tensor]] = []  # of variables, of gradients, 1 / their products (problems,)
    for iteration in range(_MOST_ITERATIONS):
        norm = gradient.flatten(1).norm(dim=1) / first
        if (norm <= TOLERANCE).all():
            break
        direction = _direction(gradient, steps)
        slope = _dot(direction, gradient)
        step = torch.where(norm > TOLERANCE, 1.0, 0.0)  # a problem that is solved rests
        for _ in range(40):
            tried = variables + step[:, None, None] * direction
            new_loss, new_gradient = loss_and_gradient(tried)
            # Near the optimum rounding hides the decrease of the loss, but not the fall of the slope.
            enough = new_loss <= loss + _SUFFICIENT * step * slope
            flat = _dot(direction, new_gradient).abs() <= 0.9 * slope.abs()
            enough |= flat & (new_loss <= loss + 1e-12 * loss.abs())
            if (enough | (step == 0)).all():
                break
            step = torch.where(enough, step, step / 2)
        else:
            break  # no digit is left to gain
        change, difference = tried - variables, new_gradient - gradient
        product = _dot(change, difference)
        # Without curvature along the step (a problem at rest) the pair counts for nothing.
        steps = [*steps, (change, difference, torch.where(product > 0, 1 / product, 0.0))][-_MEMORY:]
        variables, loss, gradient = tried, new_loss, new_gradient
    return scale * variables, gradient.flatten(1).norm(dim=1) / first, iteration


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
        change, difference, inverse = steps[-1]
        squares = _dot(difference, difference) * inverse
        direction = direction * torch.where(squares > 0, 1 / squares, 1.0)[:, None, None]
    for (change, difference, inverse), share in zip(steps, reversed(shares), strict=True):
        direction = direction + (share - inverse * _dot(difference, direction))[:, None, None] * change
    return direction
