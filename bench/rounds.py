"""The peer's side of a comparison: steps in rounds, one round for every line of standard input."""
import os
import sys
import time

import torch

# Wall-clock time, or the processor's, which other programs on the machine disturb less.
clock = time.process_time if os.environ.get("BENCH_CLOCK") == "cpu" else time.perf_counter
# A GPU on which all tensors are made; the scripts import this before they make any. PyTorch 2.
gpu = os.environ.get("BENCH_DEVICE")
if gpu:
    torch.set_default_device(gpu)


def serve(step):
    """Prints the mean milliseconds of so many calls of `step(i)` as each line of the input says."""
    torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))
    i = 0
    for line in sys.stdin:
        steps = int(line)
        start = clock()
        for i in range(i, i + steps):
            step(i)
        if gpu:
            torch.cuda.synchronize()
        print((clock() - start) * 1000 / steps, flush=True)
