"""What computing once saves in the geometry model of SAM 3D Objects: keys and values, and the unconditional branch.

`python benchmarks/bench_reuse.py [--steps 25] [--threads 1]`

Two blocks of half the released width, with shape and condition tokens in the released proportion, so that attention
takes the share of the work that it has in the released network. Times are those of the processor, not of the clock, so
that other work on the machine disturbs the ratio less.
"""

from __future__ import annotations

import argparse
import time

import torch
from running_graph import machine

from sam3d_ros.models.layers.attention import Context
from sam3d_ros.models.objects.geometry_model import GeometryConfig, GeometryModel
from sam3d_ros.models.objects.guidance import ConditionedFlow
from sam3d_ros.models.objects.sampling import Schedule, draw_noise, sample

WIDTH, BLOCKS, HEADS, RESOLUTION = 512, 2, 8, 12
#: 7528 condition tokens stand beside 4096 shape tokens in the released network.
CONDITION_TOKENS = RESOLUTION**3 * 7528 // 4096
WEIGHT_DEVIATION = 0.02


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=25, help="of the sampler, with guidance (default 25)")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch (default 1)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    geometry = GeometryConfig(
        width=WIDTH, context_width=WIDTH, blocks=BLOCKS, heads=HEADS, resolution=RESOLUTION
    )
    generator = torch.Generator().manual_seed(0)
    model = GeometryModel(geometry).eval()
    for weights in model.parameters():
        # All of them, as some layers begin with zeros.
        torch.nn.init.normal_(weights, std=WEIGHT_DEVIATION, generator=generator)
    condition = torch.randn(1, CONDITION_TOKENS, WIDTH, generator=generator)
    noise = draw_noise(geometry.latent_shapes, generator)
    schedule = Schedule.geometry(arguments.steps)
    seconds, answers = {}, {}
    with torch.inference_mode():
        for reuse in (True, False):
            began = time.process_time()
            flow = ConditionedFlow.of_geometry(model, Context(condition), reuse=reuse)
            answers[reuse] = sample(flow, noise, schedule)
            seconds[reuse] = time.process_time() - began
    apart = max(
        float((answers[True][name] - other).abs().max() / other.abs().max())
        for name, other in answers[False].items()
    )
    print(
        f"{arguments.steps} guided steps, width {WIDTH}, {BLOCKS} blocks, {RESOLUTION**3} shape and "
        f"{CONDITION_TOKENS} condition tokens, fp32; {machine()}"
    )
    print(f"  every step anew   {seconds[False]:7.1f} s of processor time")
    print(f"  with reuse        {seconds[True]:7.1f} s")
    print(f"  ratio             {seconds[False] / seconds[True]:7.2f} x, answers {apart:.1e} apart")


if __name__ == "__main__":
    main()
