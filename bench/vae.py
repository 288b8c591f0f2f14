"""The training step of ift1 in PyTorch, as the notebooks write it: one line `step_ms` per round.

python3 bench/vae.py STEPS   (one thread)
"""
import sys

import torch
from torch import nn
from torch.nn import functional as F

from rounds import serve

torch.set_num_threads(1)
torch.manual_seed(1)
steps = int(sys.argv[1])


def mlp(widths):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(a, b)] + ([nn.ELU()] if i < len(widths) - 2 else [])
    return nn.Sequential(*layers)


encoder, decoder = mlp([784, 300, 300, 200]), mlp([100, 300, 300, 784])
optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-4)
data = torch.bernoulli(torch.full((50000, 784), 0.13))
order = torch.randperm(50000)


def step(i):
    start = i * 64 % 49984
    x = data[order[start : start + 64]]
    mu, logvar = encoder(x).chunk(2, dim=1)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    logits = decoder(z) - 5
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()
    kl = 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum(1).mean()
    loss = reconstruction + kl
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


serve(step, steps)
