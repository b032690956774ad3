"""Predict a number from the columns of a table. Depth is the hidden layers, width a factor on their 64 units."""

import torch
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import KFold
from torch import nn
from torch.nn import functional as F

from shape_dnn import Quality

COLUMNS = 10
QUALITY = Quality("R2", maximum=1)


def build(shape):
    layers, inputs, units = [], COLUMNS, int(64 * shape.width)
    for _ in range(shape.depth):
        layers += [nn.Linear(inputs, units), nn.ReLU(), nn.Dropout(0.1)]
        inputs = units
    return nn.Sequential(*layers, nn.Linear(units, 1), nn.Flatten(0))


def example(batch_size):
    return torch.randn(batch_size, COLUMNS)


def fit(network, optimizer, x, y):
    network.train()
    for batch in torch.randperm(len(x)).split(32):
        loss = F.mse_loss(network(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def train(shape, run, lr=1e-3, weight_decay=0.1, epochs=15, folds=10):
    x, y = (torch.tensor(values).float().to(run.device) for values in load_diabetes(return_X_y=True, scaled=False))
    y = (y - y.mean()) / y.std()
    parts = list(KFold(folds, shuffle=True, random_state=0).split(y))
    networks = [build(shape).to(run.device) for _ in parts]
    optimizers = [torch.optim.AdamW(network.parameters(), lr, weight_decay=weight_decay) for network in networks]
    predicted = torch.zeros_like(y)
    for epoch in range(1, epochs + 1):
        for network, optimizer, (learned, held_out) in zip(networks, optimizers, parts):
            normalised = (x - x[learned].mean(0)) / x[learned].std(0)
            fit(network, optimizer, normalised[learned], y[learned])
            with torch.no_grad():
                predicted[held_out] = network.eval()(normalised[held_out])
        if not run.report(epoch, r2_score(y.cpu(), predicted.cpu())):
            break
