"""Trainings of one's own that tests search with: cheap ones, in files."""

from __future__ import annotations

from pathlib import Path

HEAD = """
import torch
from torch import nn
from shape_dnn import Quality, Resources

QUALITY = Quality("loss", better="lower", minimum=0)
DEPTH, WIDTH = "1:4:1", "1:3:1"
"""
BUILD = """
def build(shape):
    hidden = int(4 * shape.width)
    return nn.Sequential(nn.Linear(1, hidden), *[nn.Linear(hidden, hidden) for _ in range(shape.depth)])
"""
EXAMPLE = """
def example(batch_size):
    return torch.zeros(batch_size, 1)
"""
TRAIN = """
def train(shape, run, lr=0.5, epochs=3):
    for epoch in range(1, epochs + 1):
        run.report(epoch, lr / (shape.depth + float(shape.width)) / epoch)
"""
SINE = """
import os, time

def train(shape, run, lr=0.03, epochs=12):
    x = torch.linspace(-1, 1, 64).unsqueeze(1)
    network, first = build(shape), 1
    optimizer = torch.optim.AdamW(network.parameters(), lr=lr)
    notes = run.directory / "notes.txt"
    saved = run.load()
    if saved is not None:
        network.load_state_dict(saved)
        optimizer.load_state_dict(saved.more["optimizer"])
        torch.set_rng_state(saved.more["random"])
        first = saved.more["epoch"] + 1
    for epoch in range(first, epochs + 1):
        loss = (network(x) - torch.sin(5 * x) + 0.01 * torch.randn(64, 1)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        notes.write_text((notes.read_text() if notes.exists() else "") + f"{epoch} ")
        goes_on = run.report(epoch, loss.item(), rate=lr)
        run.save(network, optimizer=optimizer.state_dict(), random=torch.get_rng_state(), epoch=epoch)
        time.sleep(float(os.environ.get("PAUSE", 0)))
        if not goes_on:
            return
    assert sorted(set(notes.read_text().split()), key=int) == [str(n) for n in range(1, epochs + 1)]
"""
"""Goes on from where it was saved, its own file included, to the same loss as if it had never stopped."""


def write(*parts: str, name: str = "my_training.py") -> Path:
    """Write a file with these parts in the working directory."""
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEAD + "".join(parts))
    return path
