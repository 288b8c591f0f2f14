"""Training steps of VAEs in PyTorch, as the notebooks write them: python3 bench/vae.py ROW, see `rows` below."""
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


class IafPosterior(nn.Module):
    """Two inverse autoregressive steps, a masked network with the encoder's features as context each."""

    def __init__(self, features, latent, width=300):
        super().__init__()
        order, degrees = torch.arange(latent) + 1, torch.arange(width) % latent
        self.reads = (degrees[:, None] >= order).float()
        self.writes = (order.repeat(2)[:, None] > degrees).float()
        self.inputs = nn.ModuleList(nn.Linear(latent, width) for _ in range(2))
        self.contexts = nn.ModuleList(nn.Linear(features, width) for _ in range(2))
        self.outputs = nn.ModuleList(nn.Linear(width, 2 * latent) for _ in range(2))

    def forward(self, h, z):
        log_det = 0
        for read, context, write in zip(self.inputs, self.contexts, self.outputs):
            hidden = F.elu(F.linear(z, read.weight * self.reads, read.bias) + context(h))
            m, s = F.linear(hidden, write.weight * self.writes, write.bias).chunk(2, 1)
            gate = torch.sigmoid(s + 1.5)
            z = (gate * z + (1 - gate) * m).flip(1)
            log_det = log_det + torch.log(gate).sum(1)
        return z, log_det


def log_normal(z, mu, logvar):
    return -0.5 * (math.log(2 * math.pi) + logvar + (z - mu) ** 2 / logvar.exp()).sum(-1)


class Mixture(nn.Module):
    """K components: free, a network's images of a grid of codes, or the encodings of pseudo-inputs."""

    def __init__(self, kind, latent, data, encode, k=16):
        super().__init__()
        self.kind, self.encode, self.logits = kind, encode, nn.Parameter(torch.zeros(k))
        if kind == "mog":
            self.means, self.logvars = nn.Parameter(torch.randn(k, latent)), nn.Parameter(torch.randn(k, latent))
        elif kind == "vamp":
            self.pseudo = nn.Parameter(17 * torch.rand(k, data))
        else:
            self.codes = torch.cartesian_prod(*2 * [torch.linspace(-1, 1, 4)])
            self.net = mlp([2, 256, 256, 2 * latent], nn.LeakyReLU)

    def log_prob(self, z):
        if self.kind == "mog":
            mu, logvar = self.means, self.logvars
        else:
            mu, logvar = (self.encode(self.pseudo) if self.kind == "vamp" else self.net(self.codes)).chunk(2, 1)
        return torch.logsumexp(F.log_softmax(self.logits, 0) + log_normal(z.unsqueeze(1), mu, logvar), 1)


class RealNvp(nn.Module):
    """Three affine couplings with the latents reversed between them."""

    def __init__(self, latent):
        super().__init__()
        nets = [mlp([latent // 2, 256, 256, latent // 2], nn.LeakyReLU) for _ in range(6)]
        self.s, self.t = nn.ModuleList(nets[:3]), nn.ModuleList(nets[3:])

    def log_prob(self, z):
        log_det = 0
        for s_net, t_net in zip(self.s, self.t):
            a, b = z.chunk(2, 1)
            s = torch.tanh(s_net(a))
            z = torch.cat([a, b * torch.exp(s) + t_net(a)], 1).flip(1)
            log_det = log_det + s.sum(1)
        return log_normal(z, torch.zeros(()), torch.zeros(())) + log_det


ift1 = dict(data=784, latent=100, hidden=300, activation=nn.ELU, outputs=1, fit=bernoulli(-5), batch=64)
digits = dict(data=64, latent=16, hidden=256, activation=nn.LeakyReLU, outputs=17, fit=grey_levels, batch=64)
rows = {
    "ift1": ift1,
    "ift9": dict(ift1, maps=8),
    "ift9.iaf": dict(ift1, iaf=True),
    "cs1": dict(ift1, latent=10, fit=bernoulli(0), batch=100, softplus=True, binarise=True),
    "hw5.1": digits,
    **{f"hw5.4.{prior}": dict(digits, prior=prior) for prior in ["mog", "vamp", "gtm", "flow"]},
}
r = rows[row]
data, latent, hidden, batch = r["data"], r["latent"], r["hidden"], r["batch"]
encoder = mlp([data, hidden, hidden, 2 * latent], r["activation"])
decoder = mlp([latent, hidden, hidden, data * r["outputs"]], r["activation"])
flow = PlanarPosterior(hidden, latent, r["maps"]) if "maps" in r else IafPosterior(hidden, latent) if "iaf" in r else None
prior = r.get("prior")
if prior:
    prior = RealNvp(latent) if prior == "flow" else Mixture(prior, latent, data, encoder)
parameters = {p for part in (encoder, decoder, flow, prior) if part for p in part.parameters()}
is_digits = data == 64
optimiser = torch.optim.Adamax(parameters, 1e-3) if is_digits else torch.optim.Adam(parameters, 3e-4)
n = 1078 if is_digits else 50000
images = torch.randint(0, 17, (n, data)).float() if is_digits else torch.bernoulli(torch.full((n, data), 0.13))
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
    if prior:
        kl = log_normal(z, mu, logvar) - prior.log_prob(z)
    else:
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
