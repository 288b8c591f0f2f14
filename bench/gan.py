"""The training step of cs2.2 in PyTorch eager, a step of each player on 64 images: python3 bench/gan.py"""
import torch
from torch import nn
from torch.nn import functional as F

from rounds import serve

torch.manual_seed(1)

generator = nn.Sequential(
    nn.Linear(64, 512), nn.BatchNorm1d(512), nn.ReLU(),
    nn.Linear(512, 3136), nn.BatchNorm1d(3136), nn.ReLU(),
    nn.Unflatten(1, (64, 7, 7)), nn.PixelShuffle(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
    nn.PixelShuffle(2), nn.Conv2d(8, 1, 3, padding=1),
)  # fmt: skip
critic = nn.Sequential(
    nn.Conv2d(1, 32, 4, 2, 1), nn.LeakyReLU(0.1), nn.Conv2d(32, 64, 4, 2, 1), nn.LeakyReLU(0.1),
    nn.Flatten(), nn.Linear(3136, 512), nn.LeakyReLU(0.1), nn.Linear(512, 1), nn.Flatten(0),
)  # fmt: skip
players = [torch.optim.Adam(net.parameters(), 1e-3, betas=(0.5, 0.999)) for net in (generator, critic)]
images = 2 * torch.rand(6400, 1, 28, 28) - 1


def move(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


def step(i):
    start = i * 64 % 6400
    x = images[start : start + 64]
    with torch.no_grad():
        fake = generator(torch.randn(64, 64))
    move(players[1], F.softplus(-critic(x)).mean() + F.softplus(critic(fake)).mean())
    move(players[0], F.softplus(-critic(generator(torch.randn(64, 64)))).mean())


serve(step)
