"""Tell photographs by a patch, with timm. Depth is the blocks of each stage of a ResNet, width a factor on channels."""

import torch
from timm import create_model
from timm.data import create_dataset, create_loader
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch.nn import functional as F

SIZE = (3, 32, 32)


def build(shape):
    channels = [int(channels * shape.width) for channels in (32, 64, 128, 256)]
    return create_model("resnet18", layers=[shape.depth] * 4, channels=channels, num_classes=7)


def example(batch_size):
    return torch.rand(batch_size, *SIZE)


def images_of(part, batch_size):
    images = create_dataset("", root="photographs", split=part)
    options = {"use_prefetcher": False, "num_workers": 0, "persistent_workers": False}
    return create_loader(images, SIZE, batch_size, is_training=part == "train", **options)


def accuracy(predict):
    right = [predict(images).argmax(1).cpu() == classes for images, classes in images_of("validation", 256)]
    right = torch.cat(right)
    return 100 * right.sum().item() / len(right)


def train(shape, run, lr=2e-3, weight_decay=0.05, epochs=8):
    training = images_of("train", 32)
    network = build(shape).to(run.device)
    optimizer = create_optimizer_v2(network, "adamw", lr, weight_decay)
    scheduler, _ = create_scheduler_v2(optimizer, "cosine", epochs, warmup_epochs=1, warmup_lr=lr / 10)
    for epoch in range(1, epochs + 1):
        network.train()
        for images, classes in training:
            loss = F.cross_entropy(network(images.to(run.device)), classes.to(run.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step(epoch)
        network.eval()
        with torch.no_grad():
            reached = accuracy(lambda images: network(images.to(run.device)))
        if not run.report(epoch, reached):
            break
    run.save(network)


def calibration(batch_size, run):
    return (images for images, _ in images_of("train", batch_size))


def judge(predict, run):
    return accuracy(predict)
