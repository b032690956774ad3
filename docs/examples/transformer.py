"""Predict the next letter of a text. Depth is the blocks of a transformer, width a factor on its 4 heads."""

import subprocess

import torch
from torch import nn
from torch.nn import functional as F

from shape_dnn import Quality

CONTEXT, LETTERS = 64, 128
QUALITY = Quality("perplexity", better="lower", minimum=1)
EXAMPLE = torch.zeros(1, CONTEXT, dtype=torch.long)


class Transformer(nn.Module):
    def __init__(self, blocks, heads):
        super().__init__()
        size = 16 * heads
        self.letters, self.positions = nn.Embedding(LETTERS, size), nn.Embedding(CONTEXT, size)
        block = nn.TransformerEncoderLayer(size, heads, 4 * size, 0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, blocks, nn.LayerNorm(size), enable_nested_tensor=False)
        self.out = nn.Linear(size, LETTERS)

    def forward(self, text):
        mask = nn.Transformer.generate_square_subsequent_mask(CONTEXT, device=text.device)
        return self.out(self.blocks(self.letters(text) + self.positions.weight, mask, is_causal=True))


def build(shape):
    return Transformer(shape.depth, heads=int(4 * shape.width))


def train(shape, run, lr=3e-3, epochs=10):
    bible = subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"], capture_output=True, check=True).stdout
    text = torch.tensor(list(bible), device=run.device)
    text, held_out = text[:-16384], text[-16384:].view(-1, CONTEXT)
    model = build(shape).to(run.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr)
    first = 1
    if saved := run.load():
        model.load_state_dict(saved)
        optimizer.load_state_dict(saved.more["optimizer"])
        torch.set_rng_state(saved.more["random"])
        first = saved.more["epoch"] + 1
    for epoch in range(first, epochs + 1):
        for starts in torch.randint(len(text) - CONTEXT, (40, 16, 1)):
            batch = text[starts + torch.arange(CONTEXT + 1)]
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            loss = F.cross_entropy(model(held_out)[:, :-1].flatten(0, 1), held_out[:, 1:].flatten())
        goes_on = run.report(epoch, loss.exp().item())
        if run.is_due or not goes_on or epoch == epochs:
            run.save(model, optimizer=optimizer.state_dict(), random=torch.get_rng_state(), epoch=epoch)
        if not goes_on:
            break
