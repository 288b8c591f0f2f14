"""Training steps of nora6's M2 in PyTorch, its sum over ten classes a loop, as programs of M2 write it:
python3 bench/m2.py LABELLED UNLABELLED, or LABELLED 0 for the classifier alone."""
import math
import sys

import torch
from torch import nn
from torch.nn import functional as F

from rounds import serve

torch.manual_seed(1)
labelled, unlabelled = map(int, sys.argv[1:3])
data, classes, latent, hidden, n = 784, 10, 50, 500, 50000


def net(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.Softplus(), nn.Linear(hidden, outputs))


classifier, encoder, decoder = net(data, classes), net(data + classes, 2 * latent), net(latent + classes, data)
optimiser = torch.optim.Adam([*classifier.parameters(), *encoder.parameters(), *decoder.parameters()], 1e-3)
images, labels = torch.rand(n, data), torch.randint(0, classes, (n,))


def cost(x, y):
    """L(x,y) of one-hot labels."""
    mu, logvar = encoder(torch.cat([x, y], 1)).chunk(2, 1)
    z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
    fit = F.binary_cross_entropy_with_logits(decoder(torch.cat([z, y], 1)), x, reduction="none").sum(1)
    return fit + 0.5 * (mu**2 + logvar.exp() - logvar - 1).sum(1) + math.log(classes)


def batch(size):
    rows = torch.randint(0, n, (size,))
    return torch.bernoulli(images[rows]), labels[rows]


def step(i):
    x, y = batch(labelled)
    loss = 0.1 * F.cross_entropy(classifier(x), y)
    if unlabelled:
        others, _ = batch(unlabelled)
        log_q = F.log_softmax(classifier(others), 1)
        of_class = F.one_hot(torch.arange(classes), classes).float()
        costs = torch.stack([cost(others, c.expand(unlabelled, classes)) for c in of_class], 1)
        loss = loss + cost(x, F.one_hot(y, classes).float()).mean() + (log_q.exp() * (costs + log_q)).sum(1).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.item()


serve(step)
