"""The parts of a tower that look at a sensor: convolutions over frames, dense layers over vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hotlap.rl.architectures import PIXEL_MAX, CameraLayers, Conv

_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by their bytes


class CameraEmbedder(nn.Module):
    """Looks at uint8 frames.

    The first convolution reads its frames *packed*: every block of stride x stride pixels is one cell with stride**2
    times the channels, the kernel is rearranged to whole cells (padded with zeros where it must be), and its stride
    is 1. That is the same sum in another order, and up to twice as fast as a convolution over one or two channels.
    Cells at the lower and right rim that no output depends on are left out.
    """

    def __init__(self, shape: tuple[int, ...], layers: CameraLayers) -> None:
        super().__init__()
        channels, height, width = shape
        self.num_convs = len(layers.convs)
        self.block = layers.convs[0].stride
        assert height % self.block == 0, f"height {height} is not a multiple of the first stride {self.block}"
        assert width % self.block == 0, f"width {width} is not a multiple of the first stride {self.block}"
        self.num_rows = _used_cells(height, layers.convs)
        self.num_columns = _used_cells(width, layers.convs)
        for index, conv in enumerate(layers.convs, start=1):
            self.add_module(f"conv{index}", nn.Conv2d(channels, conv.filters, conv.kernel, conv.stride))
            channels = conv.filters
        self.pixel_dense = DenseStack(channels, layers.pixel_dense)
        channels = self.pixel_dense.output_size
        self.output_size = channels * _output_pixels(height, layers.convs) * _output_pixels(width, layers.convs)

    def pack(self, frames: Tensor) -> Tensor:
        """Rearrange uint8 frames, shape (batch, channels, height, width), into what `forward` reads.

        Returns:
            Cells, uint8, shape (batch, num_rows, num_columns, channels * block**2), contiguous.

        Raises:
            ValueError: If the frames are not uint8.
        """
        if frames.dtype != torch.uint8:
            raise ValueError(f"frames must be uint8, 0 to 255, got {frames.dtype}")
        batch, channels = frames.shape[:2]
        rows, columns, block = self.num_rows, self.num_columns, self.block
        # One word per row of a block: moving words is several times faster than moving bytes.
        words = frames.contiguous().view(_WORDS[block])[:, :, : rows * block, :columns]
        cells = words.reshape(batch, channels, rows, block, columns).permute(0, 2, 4, 1, 3)
        return cells.contiguous().view(batch, rows, columns, channels * block).view(torch.uint8)

    def forward(self, cells: Tensor, dtype: torch.dtype) -> Tensor:
        """Features in ``dtype``, shape (batch, output_size), of packed frames."""
        # Pixels stay whole numbers, exact in bfloat16; their scale goes into the weights.
        maps = cells.to(dtype).permute(0, 3, 1, 2)
        for index in range(1, self.num_convs + 1):
            conv = self.get_submodule(f"conv{index}")
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            bias = conv.bias.to(dtype)
            if index == 1:
                maps = F.conv2d(maps, _pack_kernel(conv.weight / PIXEL_MAX, self.block).to(dtype), bias)
            else:
                maps = F.conv2d(maps, conv.weight.to(dtype), bias, stride=conv.stride)
            maps = F.relu_(maps)
        pixels = maps.permute(0, 2, 3, 1)
        return self.pixel_dense(pixels, dtype).flatten(start_dim=1)


def _output_pixels(size: int, convs: Sequence[Conv]) -> int:
    """Height or width after the convolutions."""
    for conv in convs:
        size = (size - conv.kernel) // conv.stride + 1
    return size


def _used_cells(size: int, convs: Sequence[Conv]) -> int:
    """Height or width, in cells of the first stride, of the part of the frame that the output depends on."""
    needed = _output_pixels(size, convs)
    for conv in reversed(convs[1:]):
        needed = (needed - 1) * conv.stride + conv.kernel
    first = convs[0]
    return needed - 1 + -(-first.kernel // first.stride)


def _pack_kernel(weight: Tensor, block: int) -> Tensor:
    """The kernel that does on packed frames what ``weight``, shape (out, in, kernel, kernel), does on frames."""
    num_out, num_in, kernel, _ = weight.shape
    cells = -(-kernel // block)
    padding = cells * block - kernel
    if padding:
        weight = F.pad(weight, (0, padding, 0, padding))
    weight = weight.reshape(num_out, num_in, cells, block, cells, block).permute(0, 1, 3, 5, 2, 4)
    return weight.reshape(num_out, num_in * block * block, cells, cells)


class DenseStack(nn.Module):
    """Dense layers, each followed by ReLU."""

    def __init__(self, input_size: int, units: Sequence[int]) -> None:
        super().__init__()
        for index, size in enumerate(units, start=1):
            self.add_module(f"dense{index}", nn.Linear(input_size, size))
            input_size = size
        self.output_size = input_size

    def pack(self, vectors: Tensor) -> Tensor:
        """Vectors are read as they are."""
        return vectors

    def forward(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        features = features.to(dtype)
        for layer in self.children():
            assert isinstance(layer, nn.Linear)
            features = F.relu_(F.linear(features, layer.weight.to(dtype), layer.bias.to(dtype)))
        return features
