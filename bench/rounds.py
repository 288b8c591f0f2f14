"""The peer's side of a comparison: steps in rounds, one round for every line of standard input."""
import sys
import time


def serve(step, steps):
    """Warms up and says `ready`; then prints the mean milliseconds of so many calls of `step(i)` a round."""
    for i in range(50):
        step(i)
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for i in range(steps):
            step(i)
        print((time.perf_counter() - start) * 1000 / steps, flush=True)
