#!/usr/bin/python3
"""Train the small CNN that `tools/demo` runs, and export it as fashion_cnn.onnx.

The model classifies the 28 x 28 grey images of Fashion-MNIST into ten kinds of clothing:

    image [N, 1, 28, 28] f32, pixels scaled to 0..1
      Conv 3x3 (16)  Relu  MaxPool 2x2
      Conv 3x3 (32)  Relu  MaxPool 2x2
      Flatten  Gemm (48)  Relu  Gemm (10)
    logits [N, 10] f32, the largest one names the kind

N is dynamic. The images are the ones of Debian's package dataset-fashion-mnist: 60,000 to train
on, 10,000 to test on; the test images are looked at once, when training is over, so that the
accuracy that the script prints is an honest one. Half of the training images are mirrored in
each epoch, since a mirrored shirt is a shirt.

The file fashion_cnn.onnx beside this script came from

    apt-get install python3-torch python3-numpy python3-onnx dataset-fashion-mnist
    /usr/bin/python3 tools/model/train.py

Random numbers are seeded and torch runs on one thread, so that the same packages on the same
kind of processor give the same weights; another processor rounds differently, which moves the
accuracy by a few tenths of a per cent. Training takes a few minutes on one core.
"""

import argparse
import gzip
import os
import struct

import numpy
import onnx
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGES_OF = {"train": 60000, "t10k": 10000}


def read_idx(path):
    """The array in a gzipped IDX file of unsigned bytes."""
    with gzip.open(path, "rb") as file:
        zero, kind, rank = struct.unpack(">HBB", file.read(4))
        if zero != 0 or kind != 8:
            raise ValueError(f"{path}: not an IDX file of unsigned bytes")
        dims = struct.unpack(f">{rank}I", file.read(4 * rank))
        return numpy.frombuffer(file.read(), dtype=numpy.uint8).reshape(dims)


def load(folder, part):
    """Images [n, 1, 28, 28] f32 in 0..1 and labels [n] i64."""
    images = read_idx(os.path.join(folder, f"{part}-images-idx3-ubyte.gz"))
    labels = read_idx(os.path.join(folder, f"{part}-labels-idx1-ubyte.gz"))
    if images.shape != (IMAGES_OF[part], 28, 28) or labels.shape != (IMAGES_OF[part],):
        raise ValueError(f"{folder}: unexpected shapes {images.shape}, {labels.shape}")
    images = torch.from_numpy(images.astype(numpy.float32) / 255).unsqueeze(1)
    return images, torch.from_numpy(labels.astype(numpy.int64))


def build():
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 48), nn.ReLU(),
        nn.Linear(48, 10))


def mirror_half(images):
    mirrored = torch.rand(len(images)) < 0.5
    return torch.where(mirrored[:, None, None, None], images.flip(3), images)


def train(model, images, labels, epochs, batch):
    steps = epochs * ((len(images) + batch - 1) // batch)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    for epoch in range(epochs):
        total = 0.0
        for chosen in torch.randperm(len(images)).split(batch):
            optimizer.zero_grad()
            logits = model(mirror_half(images[chosen]))
            loss = nn.functional.cross_entropy(logits, labels[chosen])
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(chosen)
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(images):.4f}", flush=True)


def accuracy(model, images, labels):
    """Per cent of the images whose largest logit is their label."""
    model.eval()
    with torch.no_grad():
        right = sum((model(x).argmax(1) == y).sum().item()
                    for x, y in zip(images.split(1000), labels.split(1000)))
    return 100 * right / len(images)


def export(model, path):
    torch.onnx.export(
        model, torch.zeros(1, 1, 28, 28), path, opset_version=13,
        input_names=["image"], output_names=["logits"],
        dynamic_axes={"image": {0: "N"}, "logits": {0: "N"}})
    onnx.checker.check_model(onnx.load(path))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--out", default=os.path.join(HERE, "fashion_cnn.onnx"))
    options = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.manual_seed(2)
    model = build()
    train(model, *load(options.data, "train"), options.epochs, batch=128)
    export(model, options.out)
    print(f"accuracy: {accuracy(model, *load(options.data, 't10k')):.2f}%")
    print(f"{options.out}: {os.path.getsize(options.out)} bytes")


if __name__ == "__main__":
    main()
