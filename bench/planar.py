"""The training step of ift7 in PyTorch eager, k = 32, batch 128: python3 bench/planar.py

The parameters of all layers are three stacked tensors, which spares the optimiser its loop over 96 small ones.
"""
import math

import torch
from torch.nn import functional as F

from rounds import serve

torch.manual_seed(1)

k, batch, n = 32, 128, 12800
offset = math.log(math.e - 1)
u = (0.01 * torch.randn(k, 2)).requires_grad_()
w = (0.01 * torch.randn(k, 2)).requires_grad_()
b = torch.zeros(k, requires_grad=True)
optimiser = torch.optim.RMSprop([u, w, b], lr=5e-4)
z1 = 10 * torch.rand(n) - 5
data = torch.stack([z1, torch.sin(math.pi * z1 / 2) + 0.4 * torch.randn(n)], 1)
order = torch.randperm(n)


def step(i):
    start = i * batch % n
    z = data[order[start : start + batch]]
    a = (u * w).sum(1)
    softplus = F.softplus(a + offset)
    u_hat = u + ((softplus - 1 - a) / (w * w).sum(1)).unsqueeze(1) * w
    log_det = 0
    for u_l, w_l, b_l, s_l in zip(u_hat.unbind(), w.unbind(), b.unbind(), softplus.unbind()):
        t = torch.tanh(z @ w_l + b_l)
        t2 = t * t
        log_det = log_det + torch.log(t2 + s_l * (1 - t2))
        z = z + t.unsqueeze(1) * u_l
    loss = (0.5 * (z * z).sum(1) + math.log(2 * math.pi) - log_det).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


serve(step)
