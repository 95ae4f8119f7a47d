"""How near each layer of the shallow network comes to this machine's matrix-multiply peak, on one core.

Times forward, backward to the inputs and backward to the weights of every layer alone, with a warm cache, at the stock
batch size, and compares with the peak measured in between. Their sum is the least that an update of one tower can take
with these layers, whatever is done around them.

Run: python benchmarks/roofline.py [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from hotlap.rl.flops import matmul_peak
from hotlap.rl.precision import compute_dtype

BATCH = 64
REPEATS = 15
# The convolutions as the embedder runs them (the first on packed frames): name, channels in, height and width in,
# channels out, kernel, stride.
CONVS = (
    ("conv1", 16, 29, 39, 32, 2, 1),
    ("conv2", 32, 28, 38, 64, 4, 2),
    ("conv3", 64, 13, 18, 64, 3, 1),
)
DENSE = ("dense1", 11264, 512)


def best_ms(call: Callable[[], Any]) -> float:
    """Least time of some calls [ms]."""
    best = float("inf")
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return 1000 * best


def conv_passes(
    dtype: torch.dtype, channels: int, height: int, width: int, filters: int, kernel: int, stride: int
) -> tuple[float, dict[str, Callable[[], Any]]]:
    """Operations of one pass, and the passes of a convolution."""
    x = torch.randn(BATCH, channels, height, width).to(dtype).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(filters, channels, kernel, kernel).to(dtype), torch.zeros(filters, dtype=dtype)
    y = F.conv2d(x, weight, bias, stride=stride)
    gradient = torch.randn(y.shape).to(dtype).contiguous(memory_format=torch.channels_last)

    def backward(*wanted: bool) -> Callable[[], Any]:
        return lambda: torch.ops.aten.convolution_backward(
            gradient, x, weight, [filters], [stride] * 2, [0, 0], [1, 1], False, [0, 0], 1, [*wanted, False]
        )

    passes = {
        "forward": lambda: F.conv2d(x, weight, bias, stride=stride),
        "backward_data": backward(True, False),
        "backward_weights": backward(False, True),
    }
    return 2.0 * y.numel() * channels * kernel**2, passes


def dense_passes(dtype: torch.dtype, inputs: int, units: int) -> tuple[float, dict[str, Callable[[], Any]]]:
    """Operations of one pass, and the passes of a dense layer."""
    x, weight = torch.randn(BATCH, inputs).to(dtype), torch.randn(units, inputs).to(dtype)
    gradient = torch.randn(BATCH, units).to(dtype)
    passes = {
        "forward": lambda: x @ weight.t(),
        "backward_data": lambda: gradient @ weight,
        "backward_weights": lambda: gradient.t() @ x,
    }
    return 2.0 * BATCH * inputs * units, passes


def roofline() -> dict[str, Any]:
    """Per layer and pass the least time [ms] and the share of the peak; the sums that follow."""
    torch.set_num_threads(1)
    dtype = compute_dtype("auto", torch.device("cpu"))
    peak = matmul_peak(dtype, 1)
    layers: dict[str, dict[str, dict[str, float]]] = {}
    total_ms = total_flops = 0.0
    cases = [(name, conv_passes(dtype, *shape)) for name, *shape in CONVS]
    cases.append((DENSE[0], dense_passes(dtype, *DENSE[1:])))
    for name, (flops, passes) in cases:
        layers[name] = {}
        for kind, call in passes.items():
            if name == CONVS[0][0] and kind == "backward_data":
                continue  # nobody asks for the gradient of the pixels
            milliseconds = best_ms(call)
            peak = max(peak, matmul_peak(dtype, 1, repeats=3))
            layers[name][kind] = {"ms": milliseconds, "flops": flops}
            total_ms += milliseconds
            total_flops += flops
    for passes_of_layer in layers.values():
        for found in passes_of_layer.values():
            found["share_of_peak"] = found.pop("flops") / (found["ms"] / 1000) / peak
    return {
        "dtype": str(dtype).removeprefix("torch."),
        "peak_gflops_per_core": peak / 1e9,
        "layers": layers,
        "sum_ms": total_ms,
        "ideal_ms": 1000 * total_flops / peak,
        "share_of_peak": total_flops / (total_ms / 1000) / peak,
        # Five epochs over minibatches of 64, the two towers on a core each.
        "stock_update_steps_per_s_if_all_else_were_free": BATCH / 5 / (total_ms / 1000),
        "stock_update_steps_per_s_at_peak": BATCH / 5 / (total_flops / peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    found = roofline()
    if parser.parse_args().json:
        print(json.dumps(found, indent=2))
        return
    print(f"{found['dtype']}, peak of one core {found['peak_gflops_per_core']:.0f} GFLOP/s")
    for layer, passes in found["layers"].items():
        text = "  ".join(f"{kind} {each['ms']:.2f} ms ({each['share_of_peak']:.0%})" for kind, each in passes.items())
        print(f"{layer:<7} {text}")
    print(f"sum {found['sum_ms']:.1f} ms, at the peak {found['ideal_ms']:.1f} ms per tower and minibatch of {BATCH}")
    print(
        f"an update of the stock recipe: at most {found['stock_update_steps_per_s_if_all_else_were_free']:.0f} steps/s "
        f"with these layers and nothing else, {found['stock_update_steps_per_s_at_peak']:.0f} at the peak"
    )


if __name__ == "__main__":
    main()
