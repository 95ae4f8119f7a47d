"""Which arithmetic a device does fast."""

from __future__ import annotations

from typing import Literal

import torch

Precision = Literal["auto", "bfloat16", "float32", "float64"]


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The dtype to compute in: ``auto`` is bfloat16 where the hardware multiplies it faster, float32 elsewhere.

    Weights are kept and updated in float32 with either.
    """
    if precision != "auto":
        return {"bfloat16": torch.bfloat16, "float32": torch.float32, "float64": torch.float64}[precision]
    return torch.bfloat16 if _multiplies_bfloat16(device) else torch.float32


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch has no public name for these; where they are missing, float32 is the safe answer.
    probes = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return device.type == "cpu" and any(probe is not None and probe() for probe in probes)
