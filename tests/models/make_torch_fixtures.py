"""Makes fixtures/torch_*.npz: outputs and gradients of torch's networks, parameters in this program's layout.

Run once, in an environment with torch 2.13.0 (CPU) and numpy; the tests read only the files:

    python tests/models/make_torch_fixtures.py

Every file holds float64 arrays: `inputs`; `cotangent`, the loss being sum(cotangent * outputs); `outputs`; each
representation as `representations/<layer>`; and each parameter and its gradient as `params/<path>`, `grads/<path>`.
"""

from pathlib import Path

import numpy as np
import torch
from torch import nn

FOLDER = Path(__file__).parent / "fixtures"
TRIALS, TIME, INPUTS, HIDDEN, OUTPUTS = 3, 6, 3, 5, 2


def save(name, inputs, outputs, representations, params, to_layout):
    """Runs the backward pass and writes one fixture; `to_layout` maps torch-shaped tensors to the program's."""
    cotangent = torch.randn_like(outputs)
    (cotangent * outputs).sum().backward()
    arrays = {"inputs": inputs, "cotangent": cotangent, "outputs": outputs}
    arrays |= {f"representations/{k}": v for k, v in representations.items()}
    arrays |= {f"params/{k}": v for k, v in to_layout({k: p.detach() for k, p in params.items()}, False).items()}
    arrays |= {f"grads/{k}": v for k, v in to_layout({k: p.grad for k, p in params.items()}, True).items()}
    np.savez_compressed(FOLDER / f"torch_{name}.npz", **{k: v.detach().numpy() for k, v in arrays.items()})


def recurrent(name, cell):
    """A recurrent layer and a linear readout."""
    readout = nn.Linear(HIDDEN, OUTPUTS)
    inputs = torch.randn(TRIALS, TIME, INPUTS)
    rates = cell(inputs)[0]

    def to_layout(p, gradient):
        # torch adds two biases; the gradient of their sum is the gradient of either.
        first, second = p["bias_ih_l0"], p["bias_hh_l0"]
        layout = {
            "input/kernel": p["weight_ih_l0"].T,
            "input/bias": first if gradient else first + second,
            "recurrent": p["weight_hh_l0"].T,
            "readout/kernel": p["weight"].T,
            "readout/bias": p["bias"],
        }
        if name == "gru":  # the candidate's second bias is inside the reset gate
            shared = first if gradient else first + second
            layout["input/bias"] = torch.cat([shared[: 2 * HIDDEN], first[2 * HIDDEN :]])
            layout["recurrent_bias"] = second[2 * HIDDEN :]
        return layout

    params = dict(cell.named_parameters()) | dict(readout.named_parameters())
    save(name, inputs, readout(rates), {"rate": rates}, params, to_layout)


def convolutional(name, norm, kernels=(3, 3), strides=(1, 1), pool=nn.functional.max_pool2d):
    """Two blocks of convolution, normalisation, ReLU and pooling by 2 on a 9 x 7 map, one dense layer, readout."""
    settings = zip((2, 3), (3, 4), kernels, strides)
    conv = [nn.Conv2d(i, o, k, stride=s, padding=k // 2) for i, o, k, s in settings]
    norms = [norm(3), norm(4)]
    height, width = 9, 7
    for stride in strides:
        height, width = -(-height // stride) // 2, -(-width // stride) // 2
    dense, readout = nn.Linear(4 * height * width, 5), nn.Linear(5, OUTPUTS)
    inputs = torch.randn(4, 9, 7, 2)
    x, representations = inputs.permute(0, 3, 1, 2), {}
    for layer in range(2):
        x = norms[layer](conv[layer](x))
        representations[f"conv{layer + 1}.pre"] = x.permute(0, 2, 3, 1)
        x = torch.relu(x)
        representations[f"conv{layer + 1}"] = x.permute(0, 2, 3, 1)
        x = pool(x, 2)
    x = torch.relu(dense(x.flatten(1)))
    representations["dense1"] = x

    modules = {"conv1": conv[0], "conv2": conv[1], "norm1": norms[0], "norm2": norms[1], "dense1": dense}
    save(name, inputs, readout(x), representations, *named({**modules, "readout": readout}))


def residual(name):
    """A stem and two stages of one block each, 3 and 5 channels, on an 8 x 6 map; nothing starts at 0."""
    convs = {"stem": nn.Conv2d(2, 3, 3, padding=1, bias=False)}
    for stage, (before, channels) in enumerate([(3, 3), (3, 5)], start=1):
        layer = f"stage{stage}_block1"
        convs[f"{layer}_conv1"] = nn.Conv2d(before, channels, 3, stride=stage, padding=1, bias=False)
        convs[f"{layer}_conv2"] = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
    norms = {f"{layer}_norm": learned(nn.BatchNorm2d(conv.out_channels)) for layer, conv in convs.items()}
    inputs = torch.randn(4, 8, 6, 2)
    x = torch.relu(norms["stem_norm"](convs["stem"](inputs.permute(0, 3, 1, 2))))
    representations = {"stem": x.permute(0, 2, 3, 1)}
    for stage in (1, 2):
        layer = f"stage{stage}_block1"
        branch = torch.relu(norms[f"{layer}_conv1_norm"](convs[f"{layer}_conv1"](x)))
        branch = norms[f"{layer}_conv2_norm"](convs[f"{layer}_conv2"](branch))
        shortcut = x[:, :, ::stage, ::stage]
        x = torch.relu(nn.functional.pad(shortcut, (0, 0, 0, 0, 0, branch.shape[1] - shortcut.shape[1])) + branch)
        representations[layer] = x.permute(0, 2, 3, 1)
    readout = nn.Linear(5, OUTPUTS)
    save(name, inputs, readout(x.mean((2, 3))), representations, *named({**convs, **norms, "readout": readout}))


def named(modules):
    """The parameters of modules as `module/parameter`, and what brings them into the program's layout."""
    params = {f"{m}/{k}": p for m, module in modules.items() for k, p in module.named_parameters()}

    def to_layout(p, gradient):
        layout = {}
        for path, value in p.items():
            module, kind = path.split("/")
            if kind == "bias":
                layout[path] = value
            elif "norm" in module:
                layout[f"{module}/scale"] = value
            else:
                layout[f"{module}/kernel"] = value.permute(2, 3, 1, 0) if value.ndim == 4 else value.T
        return layout

    return params, to_layout


def learned(norm):
    """The normalisation with a scale and bias that are not 1 and 0."""
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return norm


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    FOLDER.mkdir(exist_ok=True)
    recurrent("rnn_tanh", nn.RNN(INPUTS, HIDDEN, nonlinearity="tanh", batch_first=True))
    recurrent("rnn_relu", nn.RNN(INPUTS, HIDDEN, nonlinearity="relu", batch_first=True))
    recurrent("gru", nn.GRU(INPUTS, HIDDEN, batch_first=True))
    recurrent("lstm", nn.LSTM(INPUTS, HIDDEN, batch_first=True))
    convolutional("cnn", lambda channels: nn.Identity())
    convolutional("cnn_layer", lambda channels: learned(nn.GroupNorm(1, channels)))
    convolutional("cnn_batch", lambda channels: learned(nn.BatchNorm2d(channels)))
    convolutional("cnn_strided", lambda channels: nn.Identity(), (5, 1), (2, 1), nn.functional.avg_pool2d)
    residual("resnet")
