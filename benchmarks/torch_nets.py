"""The workloads written by hand in PyTorch, as a careful user would: channels_last, fused optimizers, no library on top."""

import torch
import torch.nn.functional as F
from torch import nn

CHANNELS_LAST = torch.channels_last


def conv_norm(channels, filters, size, stride=1, groups=1, act=None, bias=False):
    """Convolution, batch normalization and perhaps an activation, as a list."""
    conv = nn.Conv2d(channels, filters, size, stride, size // 2, groups=groups, bias=bias)
    return [conv, nn.BatchNorm2d(filters), *([act(inplace=True)] if act else [])]


class Residual(nn.Module):
    """relu(body(x) + shortcut(x)), the shortcut a projection where the shape changes."""

    def __init__(self, body, channels, filters, stride, bias=False):
        super().__init__()
        same = stride == 1 and channels == filters
        self.body = nn.Sequential(*body)
        self.shortcut = nn.Identity() if same else nn.Sequential(*conv_norm(channels, filters, 1, stride, bias=bias))

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


class Inverted(nn.Module):
    """The inverted residual block of MobileNetV2."""

    def __init__(self, channels, filters, stride, expand):
        super().__init__()
        hidden = channels * expand
        body = conv_norm(channels, hidden, 1, act=nn.ReLU6) if expand > 1 else []
        body += conv_norm(hidden, hidden, 3, stride, groups=hidden, act=nn.ReLU6)
        self.body = nn.Sequential(*body, *conv_norm(hidden, filters, 1))
        self.adds = stride == 1 and channels == filters

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


class LastOfLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.lstm, self.head = nn.Embedding(20000, 128), nn.LSTM(128, 128, batch_first=True), nn.Linear(128, 1)

    def forward(self, x):
        return self.head(self.lstm(self.embed(x))[0][:, -1])


class EncoderBlock(nn.Module):
    def __init__(self, width=256, heads=8):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
        x = x + self.out(attended)
        return x + self.narrow(F.gelu(self.wide(self.norm2(x))))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.blocks, self.head = (
            nn.Embedding(8000, 256),
            nn.Sequential(*[EncoderBlock() for _ in range(4)]),
            nn.Linear(256, 20),
        )

    def forward(self, x):
        return self.head(self.blocks(self.embed(x)).mean(1))


def pooled(*parts):
    return nn.Sequential(*parts, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def mobilenet():
    parts, channels = conv_norm(3, 32, 3, 2, act=nn.ReLU6), 32
    for expand, filters, count, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ):  # fmt: skip
        for i in range(count):
            parts.append(Inverted(channels, filters, 1 if i else stride, expand))
            channels = filters
    return pooled(*parts, *conv_norm(320, 1280, 1, act=nn.ReLU6))


def resnet20():
    parts, channels = conv_norm(3, 16, 3, act=nn.ReLU), 16
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        for s in (stride, 1, 1):
            body = [*conv_norm(channels, filters, 3, s, act=nn.ReLU), *conv_norm(filters, filters, 3)]
            parts.append(Residual(body, channels, filters, s))
            channels = filters
    return nn.Sequential(pooled(*parts), nn.Linear(64, 10))


def resnet50():
    parts, channels = [*conv_norm(3, 64, 7, 2, act=nn.ReLU, bias=True), nn.MaxPool2d(3, 2, 1)], 64
    for width, count, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for i in range(count):
            s = 1 if i else stride
            body = [
                *conv_norm(channels, width, 1, s, act=nn.ReLU, bias=True),
                *conv_norm(width, width, 3, act=nn.ReLU, bias=True),
                *conv_norm(width, 4 * width, 1, bias=True),
            ]
            parts.append(Residual(body, channels, 4 * width, s, bias=True))
            channels = 4 * width
    return nn.Sequential(pooled(*parts), nn.Linear(2048, 10))


def mlp():
    def dense(n):
        return [nn.Linear(n, 512), nn.ReLU(inplace=True), nn.Dropout(0.2)]

    return nn.Sequential(*dense(784), *dense(512), nn.Linear(512, 10))


def convnet():
    def conv(channels, filters):
        return [nn.Conv2d(channels, filters, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]

    return nn.Sequential(*conv(1, 32), *conv(32, 64), nn.Flatten(), nn.Dropout(0.5), nn.Linear(1600, 10))


class Task:
    """net: what is trained; frozen: what comes before it, or None; x, y: a batch; loss; make_optimizer(parameters)."""

    def __init__(self, net, x, y, loss=F.cross_entropy, optimizer="adam", frozen=None):
        self.net, self.frozen, self.x, self.y, self.loss, self.optimizer = net, frozen, x, y, loss, optimizer
        if x.ndim == 4:
            self.x = x.to(memory_format=CHANNELS_LAST)
            self.net = net.to(memory_format=CHANNELS_LAST)
            self.frozen = frozen and frozen.to(memory_format=CHANNELS_LAST)

    def make_optimizer(self):
        parameters = self.net.parameters()
        if self.optimizer == "adam":
            return torch.optim.Adam(parameters, fused=True)
        return torch.optim.SGD(parameters, 0.01, 0.9, fused=True)

    @property
    def whole(self):
        """The net for inference."""
        return self.net if self.frozen is None else nn.Sequential(self.frozen, self.net)


def task(workload):
    """The Task of a workload, data from a fixed seed."""
    torch.manual_seed(0)
    classes = {"finetune": 5, "transformer": 20}.get(workload, 10)

    def images(batch, size, channels=3):
        return torch.rand(batch, channels, size, size), torch.randint(0, classes, (batch,))

    if workload == "mlp":
        return Task(mlp(), torch.rand(128, 784), torch.randint(0, 10, (128,)))
    if workload == "convnet":
        return Task(convnet(), *images(128, 28, 1))
    if workload == "cifar_resnet":
        return Task(resnet20(), *images(128, 32), optimizer="sgd")
    if workload == "resnet50":
        return Task(resnet50(), *images(16, 224), optimizer="sgd")
    if workload == "mobilenetv2":
        return Task(nn.Sequential(mobilenet(), nn.Linear(1280, 10)), *images(16, 224), optimizer="sgd")
    if workload == "finetune":
        head = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, 5))
        return Task(head, *images(32, 160), frozen=mobilenet().eval().requires_grad_(False))
    if workload == "lstm":
        y = torch.randint(0, 2, (32, 1)).float()
        return Task(LastOfLSTM(), torch.randint(0, 20000, (32, 80)), y, F.binary_cross_entropy_with_logits)
    if workload == "transformer":
        return Task(Encoder(), torch.randint(0, 8000, (16, 128)), torch.randint(0, 20, (16,)))
    raise ValueError(f"There is no workload {workload!r} in PyTorch.")
