"""Find the vessels in a photograph of a retina. Depth is the levels of a U-Net, width a factor on its channels."""

import torch
from skimage import data, filters, transform
from sklearn.metrics import jaccard_score
from torch import nn

from shape_dnn import Quality

QUALITY = Quality("mIoU", minimum=0, maximum=1)
EXAMPLE = torch.zeros(1, 3, 64, 64)


def convolutions(inputs, outputs):
    first, second = nn.Conv2d(inputs, outputs, 3, padding=1), nn.Conv2d(outputs, outputs, 3, padding=1)
    return nn.Sequential(first, nn.InstanceNorm2d(outputs), nn.ReLU(), second, nn.InstanceNorm2d(outputs), nn.ReLU())


class UNet(nn.Module):
    def __init__(self, levels, channels):
        super().__init__()
        sizes = [channels * 2**level for level in range(levels + 1)]
        self.down = nn.ModuleList(convolutions(a, b) for a, b in zip([3, *sizes], sizes))
        self.up = nn.ModuleList(convolutions(a + b, a) for a, b in zip(sizes, sizes[1:]))
        self.last = nn.Conv2d(channels, 2, 1)

    def forward(self, x):
        seen = [self.down[0](x)]
        for level in self.down[1:]:
            seen.append(level(nn.functional.max_pool2d(seen[-1], 2)))
        x = seen.pop()
        for level in reversed(self.up):
            x = level(torch.cat([nn.functional.interpolate(x, scale_factor=2), seen.pop()], 1))
        return self.last(x)


def build(shape):
    return UNet(shape.depth, int(16 * shape.width))


def train(shape, run, lr=1e-2, epochs=20):
    photograph = transform.rescale(data.retina(), 0.5, channel_axis=2)[129:577, 129:577]
    vessels = filters.apply_hysteresis_threshold(filters.sato(photograph[..., 1], range(1, 6)), 0.015, 0.03)
    both = torch.cat([torch.tensor(photograph), torch.tensor(vessels)[:, :, None]], 2).float().to(run.device)
    x, y = both.unfold(0, 64, 64).unfold(1, 64, 64).flatten(0, 1).split([3, 1], dim=1)
    network = build(shape).to(run.device)
    optimizer = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=5 * epochs)
    for epoch in range(1, epochs + 1):
        for batch in torch.randperm(35).split(7):
            loss = nn.functional.cross_entropy(network(x[batch]), y[batch, 0].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            found = network(x[35:]).argmax(1)
        if not run.report(epoch, jaccard_score(y[35:].flatten().cpu(), found.flatten().cpu(), average="macro")):
            break
    run.save(network)
