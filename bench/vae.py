"""Training steps of VAEs in PyTorch, as the notebooks write them: python3 bench/vae.py ift1|cs1|hw5.1|ift9."""
import math
import sys

import torch
from torch import nn
from torch.nn import functional as F

from rounds import serve

torch.manual_seed(1)
row = sys.argv[1]


def mlp(widths, activation):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.Linear(a, b)] + ([activation()] if i < len(widths) - 2 else [])
    return nn.Sequential(*layers)


def bernoulli(shift):
    def log_likelihood(output, x):
        return -F.binary_cross_entropy_with_logits(output + shift, x, reduction="none").sum(1)

    return log_likelihood


def grey_levels(output, x):
    return -F.cross_entropy(output.view(len(x), -1, 17).transpose(1, 2), x.long(), reduction="none").sum(1)


class PlanarPosterior(nn.Module):
    """k planar maps whose parameters a layer gives for each example."""

    def __init__(self, features, latent, maps):
        super().__init__()
        self.u, self.w = nn.Linear(features, maps * latent), nn.Linear(features, maps * latent)
        self.b = nn.Linear(features, maps)
        nn.init.zeros_(self.u.weight)
        nn.init.zeros_(self.u.bias)
        self.maps = maps

    def forward(self, h, z):
        log_det = 0
        for u, w, b in zip(self.u(h).chunk(self.maps, 1), self.w(h).chunk(self.maps, 1), self.b(h).unbind(1)):
            a = (u * w).sum(1)
            stretch = F.softplus(a + math.log(math.e - 1))
            u_hat = u + ((stretch - 1 - a) / (w * w).sum(1)).unsqueeze(1) * w
            t = torch.tanh((z * w).sum(1) + b)
            log_det = log_det + torch.log(t * t + (1 - t * t) * stretch)
            z = z + t.unsqueeze(1) * u_hat
        return z, log_det


ift1 = dict(data=784, latent=100, hidden=300, activation=nn.ELU, outputs=1, fit=bernoulli(-5), batch=64)
rows = {
    "ift1": ift1,
    "ift9": dict(ift1, maps=8),
    "cs1": dict(ift1, latent=10, fit=bernoulli(0), batch=100, softplus=True, binarise=True),
    "hw5.1": dict(data=64, latent=16, hidden=256, activation=nn.LeakyReLU, outputs=17, fit=grey_levels, batch=64),
}
r = rows[row]
data, latent, hidden, batch = r["data"], r["latent"], r["hidden"], r["batch"]
encoder = mlp([data, hidden, hidden, 2 * latent], r["activation"])
decoder = mlp([latent, hidden, hidden, data * r["outputs"]], r["activation"])
flow = PlanarPosterior(hidden, latent, r["maps"]) if "maps" in r else None
parameters = [*encoder.parameters(), *decoder.parameters(), *(flow.parameters() if flow else [])]
optimiser = torch.optim.Adamax(parameters, 1e-3) if row == "hw5.1" else torch.optim.Adam(parameters, 3e-4)
n = 1078 if row == "hw5.1" else 50000
images = torch.randint(0, 17, (n, data)).float() if row == "hw5.1" else torch.bernoulli(torch.full((n, data), 0.13))
order = torch.randperm(n)


def step(i):
    start = i * batch % (n - batch)
    x = images[order[start : start + batch]]
    if "binarise" in r:
        x = (torch.rand_like(x) < x).float()
    h = encoder[:-1](x)
    mu, s = encoder[-1](h).chunk(2, dim=1)
    logvar = torch.log(F.softplus(s) + 1e-8) if "softplus" in r else s
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    kl = 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum(1)
    if flow:
        z0 = z
        z, log_det = flow(h, z0)
        kl = kl - log_det + 0.5 * ((z**2).sum(1) - (z0**2).sum(1))
    loss = -r["fit"](decoder(z), x).mean() + kl.mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss


serve(step)
