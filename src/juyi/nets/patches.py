"""One layer of patches: how like each of many typical patches every place of a picture is, summed by quarters."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, conv2d


class Patches(nn.Module):
    """Features from whitened patches and their centres, which k-means finds; there is no gradient in it.

    At each place a patch p, less its mean and divided by its spread, is whitened, x = W (p − μ), and compared with the
    centres c: with z_k = ‖x − c_k‖,

        f_k = max(0, mean(z) − z_k)

    These are averaged over each quarter of the picture: 4 K features.

    Args:
        channels: of the pictures.
        maps: K, the number of centres.
        side: of a patch, in pixels.

    Source: Coates, Ng and Lee, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS 2011,
    sections 3.1, 3.2 and 4 (the triangle activation).

    Example:
        >>> Patches(3, 10)(torch.randn(2, 3, 32, 32)).shape
        torch.Size([2, 40])
    """

    mean: Tensor
    whitening: Tensor
    centres: Tensor

    rows_at_once = 8
    """Every place has K numbers before they are averaged; so few pictures stay in a processor's cache."""

    floor = 0.003
    """Added to a patch's variance, whose unit is that of the data: a patch without contrast stays one."""

    def __init__(self, channels: int, maps: int, side: int = 6) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        size = channels * side * side
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("whitening", torch.eye(size))
        self.register_buffer("centres", torch.zeros(maps, size))

    def normalised(self, patches: Tensor) -> Tensor:
        """Take from each patch, N×(C side²), its mean, and divide it by its spread."""
        variance, mean = torch.var_mean(patches, 1, correction=0, keepdim=True)
        return (patches - mean) / (variance + self.floor).sqrt()

    def whitened(self, patches: Tensor) -> Tensor:
        """Whiten normalised patches, N×(C side²)."""
        return (patches - self.mean) @ self.whitening.T

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, N×4K, of standardised pictures, N×C×H×W."""
        size = self.whitening.shape[0]
        ones = torch.full((1, self.channels, self.side, self.side), 1.0 / size, dtype=x.dtype, device=x.device)
        mean = conv2d(x, ones)
        spread = (conv2d(x.square(), ones) - mean.square()).clamp(min=0.0).add(self.floor).sqrt()
        # W ((p − m) / s − μ), place by place: a convolution with the rows of W, less what the mean m adds.
        kernels = self.whitening.view(size, self.channels, self.side, self.side).to(x.dtype)
        sums = self.whitening.sum(1).view(1, size, 1, 1)
        shift = (self.whitening @ self.mean).view(1, size, 1, 1)
        places = (conv2d(x, kernels) - mean * sums) / spread - shift
        # ‖x − c‖² = ‖x‖² − 2 c·x + ‖c‖² in one product of matrices, and all else in place: every place has K numbers.
        rows = torch.cat([places, places.square().sum(1, keepdim=True)], 1).movedim(1, 3)
        against = torch.cat([-2.0 * self.centres, torch.ones_like(self.centres[:, :1])], 1)
        distances = torch.addmm(self.centres.square().sum(1), rows.flatten(0, 2), against.T).clamp_(min=0.0).sqrt_()
        activations = (distances.mean(1, keepdim=True) - distances).relu_()
        return adaptive_avg_pool2d(activations.view(*rows.shape[:3], -1).movedim(3, 1), 2).flatten(1)
