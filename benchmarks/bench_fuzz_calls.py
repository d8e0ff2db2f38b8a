"""Fuzzed calls of services, actions and parameters to a running process of perception.

`python benchmarks/bench_fuzz_calls.py [--calls 10000] [--seed 0] [--body-checkpoint FOLDER] [--rate 4]`

Both nodes run in one process and get images all the while; publishers of any quality of service come and go, and send
fuzzed messages. Every call must be answered; what must be refused is refused with a reason; what is refused changes
nothing, and what is accepted holds. After every hundred calls the parameters are put back, and images must become
objects again. At the end the nodes are shut down and asked once more. Without `--body-checkpoint` the people have no
weights, and their node cannot be configured. Ends with 1 if anything was otherwise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rclpy
from call_clients import Clients, NoAnswerError
from call_run import BODIES, OBJECTS, Run
from process_use import resident
from rclpy.signals import SignalHandlerOptions
from recorded_table import write_recording
from running_graph import machine, running, use_domain

DOMAIN = 91
CHECKPOINTS = 10
#: After so many calls everything is put back, or the nodes would hardly ever work meanwhile.
ROUND = 100
#: What is played: a table with a few objects, the first of which the segmenter calls a person.
THINGS, FRAMES, SIZE, PERSON = 4, 8, (320, 240), 1


def fuzz(run: Run, calls: int, perception: subprocess.Popen[bytes]) -> list[tuple[int, float]]:
    """Do the calls; the memory of the process at each point of the way."""
    memory = []
    for i in range(1, calls + 1):
        run.call()
        if i % ROUND == 0 or i == calls:
            run.recover()
        if i % max(1, calls // CHECKPOINTS) == 0:
            memory.append((i, resident(perception.pid)))
            print(
                f"{i} calls, {memory[-1][1]:.1f} MiB, {len(run.wrong)} otherwise than they have to be",
                flush=True,
            )
        if perception.poll() is not None:
            break
    return memory


def report(run: Run, memory: list[tuple[int, float]]) -> None:
    """Print what came of the calls."""
    print(f"\n{'call':50} {'end':24} {'count':>7}")
    for (kind, end), count in sorted(run.ends.items()):
        print(f"{kind:50} {end:24} {count:7}")
    if len(memory) > 1:
        print(f"\nresident memory since the first point: {memory[-1][1] / memory[0][1] - 1.0:+.1%}")
    print(f"\notherwise than they have to be: {len(run.wrong)}")
    for line in run.wrong[:40]:
        print(f"  {line}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--body-checkpoint", type=Path, help="folder of the weights of the people")
    parser.add_argument("--rate", type=float, default=4.0, help="images a second (default: 4)")
    options = parser.parse_args()
    use_domain(DOMAIN)
    started = {"nodes": f"[{OBJECTS},{BODIES}]", "reconstructor": "geometric", "body.device": "cpu"}
    if options.body_checkpoint:
        started["body.checkpoint"] = str(options.body_checkpoint.resolve())
    print(
        f"{options.calls} calls, seed {options.seed}, images at {options.rate:g} Hz; {machine()}", flush=True
    )
    with tempfile.TemporaryDirectory() as folder:
        # Whatever path is asked for and whatever folder is set, it lies here.
        os.chdir(folder)
        write_recording(Path(folder) / "frames", THINGS, FRAMES, SIZE, people=(PERSON,))
        player = {"rate": options.rate, "frames": f"{folder}/frames"}
        os.environ.update(HOME=folder, XDG_DATA_HOME=f"{folder}/data")
        with running("frame_player", player), running("perception", started) as perception:
            rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
            clients = Clients("bench_fuzz_calls")
            run = Run(clients, options.seed)
            began, memory = time.monotonic(), []
            try:
                run.recover()
                memory = fuzz(run, options.calls, perception)
                run.shut_down()
            except NoAnswerError as error:
                run.wrong.append(str(error))
            if perception.poll() is not None:
                run.wrong.append(f"the process ended with exit code {perception.returncode}")
            print(f"in {time.monotonic() - began:.0f} s")
            clients.close()
            rclpy.shutdown()
        os.chdir("/")
    if perception.returncode:
        run.wrong.append(f"the process ended with exit code {perception.returncode} after SIGINT")
    report(run, memory)
    return 1 if run.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
