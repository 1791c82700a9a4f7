"""A teacher in an ONNX file: predictions only, by onnxruntime (the optional extra `export`)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from juyi.portable import OnnxModel


class OnnxNet(nn.Module):
    """An `OnnxModel` as a module of torch: rows in, what it gives out, without gradients.

    Args:
        path: of the file.
        where: what a person called it, for errors.

    Attributes:
        model: the file.

    Raises:
        SettingError: the extra is missing, or the file is absent, damaged, or no such classifier.
    """

    digest: Tensor

    def __init__(self, path: str, where: str) -> None:
        super().__init__()
        self.model = OnnxModel(path, where, torch.get_num_threads())
        self.register_buffer("digest", torch.frombuffer(bytearray(self.model.digest), dtype=torch.uint8))

    def forward(self, x: Tensor) -> Tensor:
        """Return what the file gives of rows."""
        return torch.from_numpy(self.model.scores(x.detach().cpu().numpy())).to(x.device)
