"""A hundred sums of a thousand numbers in PyTorch eager, which are mostly the price of a call: python3 bench/add.py"""
import torch

from rounds import serve

a, b = torch.rand(1000), torch.rand(1000)


def step(i):
    with torch.no_grad():
        for _ in range(100):
            a + b


serve(step)
