"""Tell the testament of a verse, with Hugging Face. Depth is the layers of a BERT, width a factor on its 4 heads."""

import subprocess

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch.utils.data import random_split
from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_callback import PrinterCallback

WORDS, LENGTH, OLD_TESTAMENT = 4000, 32, 23145
EXAMPLE = {"input_ids": torch.zeros(1, LENGTH, dtype=torch.long)}


def build(shape):
    heads = int(4 * shape.width)
    sizes = {"vocab_size": WORDS, "max_position_embeddings": LENGTH, "hidden_size": 16 * heads}
    depth = {"num_hidden_layers": shape.depth, "num_attention_heads": heads, "intermediate_size": 64 * heads}
    return BertForSequenceClassification(BertConfig(**sizes, **depth))


def verses():
    bible = subprocess.run(["bible", "-f", "Gen1:1-Rev22:21"], capture_output=True, check=True, text=True).stdout
    lines = [line.partition(" ")[2] for line in bible.splitlines()]
    old, new = lines[:OLD_TESTAMENT:3], lines[OLD_TESTAMENT:]
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    vocabulary = trainers.WordLevelTrainer(vocab_size=WORDS, special_tokens=["[PAD]", "[UNK]"])
    tokenizer.train_from_iterator(old + new, vocabulary)
    tokenizer.enable_padding(length=LENGTH)
    tokenizer.enable_truncation(LENGTH)
    pairs = zip(tokenizer.encode_batch(old + new), [0] * len(old) + [1] * len(new))
    return [{"input_ids": text.ids, "attention_mask": text.attention_mask, "labels": part} for text, part in pairs]


class Report(TrainerCallback):
    def __init__(self, run):
        self.run = run

    def on_evaluate(self, args, state, control, metrics, **others):
        if not self.run.report(state.global_step, metrics["eval_accuracy"], loss=metrics["eval_loss"]):
            control.should_training_stop = True


def accuracy(result):
    return {"accuracy": 100 * (result.predictions.argmax(1) == result.label_ids).mean()}


def train(shape, run, lr=1e-3, steps=300):
    training, validation = random_split(verses(), [0.9, 0.1], torch.Generator().manual_seed(0))
    learn = {"learning_rate": lr, "max_steps": steps, "per_device_train_batch_size": 16, "seed": run.seed}
    judge = {"eval_strategy": "steps", "eval_steps": 0.1, "per_device_eval_batch_size": 256}
    other = {"use_cpu": run.device == "cpu", "save_strategy": "no", "report_to": "none", "disable_tqdm": True}
    arguments = TrainingArguments(run.directory, **learn, **judge, **other)
    data = {"train_dataset": training, "eval_dataset": validation, "compute_metrics": accuracy}
    trainer = Trainer(build(shape), arguments, **data, callbacks=[Report(run)])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    run.save(trainer.model)
