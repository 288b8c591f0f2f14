"""The training step of ift4 in PyTorch eager: python3 bench/cifar.py jsd-1|jsd-2|jsd-3|w1-2|w1-3 [WIDTH BATCH], else at the
source's size."""
import sys

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import spectral_norm

from rounds import serve

torch.manual_seed(1)
metric, kind = sys.argv[1].split("-")
spectral, r1 = kind == "2", kind == "3"
h, batch = map(int, sys.argv[2:4] or (128, 64))
decay = 0.998


class Residual(nn.Module):
    """x -> (1 - s) x + s block(x), s = sigmoid(alpha)."""

    def __init__(self, *block):
        super().__init__()
        self.alpha = nn.Parameter(torch.tensor(-3.0))
        self.block = nn.Sequential(*block)

    def forward(self, x):
        return x + torch.sigmoid(self.alpha) * (self.block(x) - x)


def up(a, b, stride, padding):
    return [
        nn.ConvTranspose2d(a, b, 4, stride, padding), nn.BatchNorm2d(b), nn.ReLU(),
        Residual(nn.Conv2d(b, b, 3, 1, 1), nn.BatchNorm2d(b), nn.ReLU(), nn.Conv2d(b, b, 1), nn.BatchNorm2d(b), nn.ReLU()),
    ]  # fmt: skip


def down(a, b):
    norm = spectral_norm if spectral else lambda layer: layer
    return [
        norm(nn.Conv2d(a, b, 4, 2, 1)), nn.LeakyReLU(0.2),
        Residual(norm(nn.Conv2d(b, b, 3, 1, 1)), nn.LeakyReLU(0.2), norm(nn.Conv2d(b, b, 1)), nn.LeakyReLU(0.2)),
    ]  # fmt: skip


def make_generator():
    return nn.Sequential(
        *up(100, 4 * h, 1, 0), *up(4 * h, 2 * h, 2, 1), *up(2 * h, h, 2, 1), nn.ConvTranspose2d(h, 3, 4, 2, 1), nn.Tanh()
    )


generator, averaged = make_generator(), make_generator()
last = nn.Conv2d(4 * h, 1, 4)
critic = nn.Sequential(
    *down(3, h), *down(h, 2 * h), *down(2 * h, 4 * h), spectral_norm(last) if spectral else last, nn.Flatten(0)
)
players = (
    torch.optim.Adam(generator.parameters(), 2e-4, betas=(0.0, 0.99)),
    torch.optim.Adam(critic.parameters(), 4e-4, betas=(0.0, 0.99), weight_decay=1e-6),
)
images = 2 * torch.rand(10000, 3, 32, 32) - 1


def move(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def latents():
    return torch.randn(batch, 100, 1, 1)


def step(i):
    for _ in range(2):
        x = images[torch.randint(0, len(images), (batch,))].requires_grad_(r1)
        with torch.no_grad():
            fake = generator(latents())
        on_data, on_fake = critic(x), critic(fake)
        if metric == "jsd":
            loss = 0.5 * (F.softplus(-on_data).mean() + F.softplus(on_fake).mean())
        else:
            loss = on_fake.mean() - on_data.mean()
        if r1:
            (gradient,) = torch.autograd.grad(on_data.sum(), x, create_graph=True)
            loss = loss + gradient.square().flatten(1).sum(1).mean()
        move(players[1], loss)
    on_fake = critic(generator(latents()))
    loss = -0.5 * F.softplus(on_fake).mean() if metric == "jsd" else -on_fake.mean()
    move(players[0], loss)
    with torch.no_grad():
        for mean, now in zip(averaged.parameters(), generator.parameters()):
            mean.lerp_(now, 1 - decay)
    return loss


serve(step)
