"""Patches: typical patches, found by k-means, are the features; the floor that a network has to beat."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch
from sklearn.cluster import MiniBatchKMeans

from juyi.data.domain import Domain
from juyi.errors import DataError, SettingError
from juyi.nets import Network
from juyi.nets.patches import Patches as Body
from juyi.pretrain.base import Pretrainer
from juyi.training import Rows, StageGenerator, Step, derive_seed, hyperparameter


class Patches(Pretrainer):
    """Whitened patches and their k-means centres: one pass, no gradients, minutes on a CPU.

    1. draw patches of 6×6 pixels; take from each its mean, divide it by its spread;
    2. whiten: x ← V (D + ε)^−½ Vᵀ (x − μ), V D Vᵀ the patches' covariance;
    3. find K centres by k-means;
    4. the features of an image are, for each quarter of it and each centre, the mean of max(0, mean(z) − z_k) over all
       places, z_k the distance to centre k (`juyi.nets.patches`).

    The network is `patches-K`.

    Source: A. Coates, A. Ng, H. Lee, "An Analysis of Single-Layer Networks in Unsupervised Feature Learning", AISTATS
    2011, sections 3 and 4.

    Example:
        >>> import juyi
        >>> digits = juyi.load("digits@train[:256]")
        >>> Patches(maps=20, patches=2000).fit(digits).transform(digits).shape
        (256, 80)
    """

    makes_views: ClassVar[bool] = False
    quick: ClassVar = {"maps": 16, "patches": 2_000}

    maps: int = hyperparameter(default=1_600, help="K, the number of centres", low=2, high=20_000, source="section 5")
    patches: int = hyperparameter(default=200_000, help="patches that are drawn", low=100, high=10_000_000)
    damping: float = hyperparameter(default=0.1, help="ε of the whitening", low=1e-9, high=100.0)

    def check_data(self, data: Domain) -> None:
        """Raise an error if nothing can be learnt from these data."""
        super().check_data(data)
        if self.net != "auto":
            raise SettingError(f"--net {self.net}: patches are a network of their own; leave it out, or set --maps")
        if self.patches < self.maps:
            raise DataError(f"{self.patches:,} patches are fewer than {self.maps:,} centres; draw more with --patches")

    @property
    def network(self) -> str:
        """The name of the layer of patches."""
        return f"patches-{self.maps}"

    def stages(self, net: Network, data: Rows) -> StageGenerator:
        """One step: draw, whiten, cluster."""
        body = net.body
        assert isinstance(body, Body)

        def cluster() -> None:
            drawn = body.normalised(self._draw(net, data, body.side))
            body.mean.copy_(drawn.mean(0))
            values, vectors = torch.linalg.eigh(torch.cov(drawn.double().T))
            whitening = vectors @ torch.diag((values + self.damping).rsqrt()) @ vectors.T
            body.whitening.copy_(whitening.to(body.whitening.dtype))
            kmeans = MiniBatchKMeans(
                self.maps, batch_size=4_096, n_init=1, max_iter=20, random_state=self.random_state % 2**32
            )
            centres = kmeans.fit(body.whitened(drawn).cpu().numpy()).cluster_centers_
            body.centres.copy_(torch.from_numpy(np.ascontiguousarray(centres, np.float32)))

        yield Step("cluster patches", cluster, keeps=[net])
        return net

    def _draw(self, net: Network, data: Rows, side: int) -> torch.Tensor:
        """Draw patches of standardised images, each from a place of its own: P×(C side²)."""
        random = np.random.default_rng(derive_seed(self.random_state, 1))
        x = data.x
        row = torch.from_numpy(random.integers(0, len(x), self.patches))
        top, left = (torch.from_numpy(random.integers(0, length - side + 1, self.patches)) for length in x.shape[2:])
        span = torch.arange(side)
        found = []
        for start in range(0, self.patches, 10_000):
            part = torch.arange(start, min(start + 10_000, self.patches))
            taken = x[
                row[part].view(-1, 1, 1), :, top[part].view(-1, 1, 1) + span.view(-1, 1),
                left[part].view(-1, 1, 1) + span,
            ].permute(0, 3, 1, 2)  # fmt: skip
            found.append(net.standardise(taken).flatten(1))
        return torch.cat(found)
