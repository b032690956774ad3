"""Read digits, with Lightning. Depth is the convolutions, width a factor on their 32 channels."""

import logging

import lightning
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split

EXAMPLE = torch.zeros(1, 1, 8, 8)


class Digits(lightning.LightningModule):
    def __init__(self, depth, channels, lr):
        super().__init__()
        self.lr, layers = lr, []
        for inputs in [1, *[channels] * (depth - 1)]:
            layers += [nn.Conv2d(inputs, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]
        self.network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10))

    def forward(self, images):
        return self.network(images)

    def training_step(self, batch, index):
        images, digits = batch
        return F.cross_entropy(self(images), digits)

    def validation_step(self, batch, index):
        images, digits = batch
        self.log("accuracy", 100 * (self(images).argmax(1) == digits).float().mean())

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), self.lr)
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.trainer.max_epochs)]


class Report(lightning.Callback):
    def __init__(self, run):
        self.run = run

    def on_validation_epoch_end(self, trainer, module):
        trainer.should_stop = not self.run.report(trainer.current_epoch + 1, trainer.logged_metrics["accuracy"].item())


def build(shape, lr=5e-3):
    return Digits(shape.depth, int(32 * shape.width), lr)


def train(shape, run, lr=5e-3, epochs=8):
    images, digits = (torch.tensor(values) for values in load_digits(return_X_y=True))
    data = TensorDataset(images.float().view(-1, 1, 8, 8) / 16, digits)
    training, validation = random_split(data, [0.75, 0.25], torch.Generator().manual_seed(0))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    plan = {"max_epochs": epochs, "num_sanity_val_steps": 0, "callbacks": [Report(run)]}
    off = dict.fromkeys(["enable_progress_bar", "enable_model_summary", "enable_checkpointing", "logger"], False)
    trainer = lightning.Trainer(accelerator=torch.device(run.device).type, **plan, **off)
    trainer.fit(build(shape, lr), DataLoader(training, 64, shuffle=True), DataLoader(validation, 450))
    run.save(trainer.lightning_module)
