#!/usr/bin/env python3
"""Writes testdata/train/losses.tsv: random rows of logits, and what PyTorch says of their losses.

usage: scripts/peers/loss_goldens.py > testdata/train/losses.tsv

Cross-entropy is F.cross_entropy, forward and reverse KL are F.kl_div, Jensen-Shannon and skew are sums of
two of F.kl_div's. Gradients are autograd's, in double, of logits that are F32. "-inf" as the rest means
that there is nothing but labels.
"""
import sys

import torch
import torch.nn.functional as F


def numbers(x):
    return " ".join(repr(float(v.detach() if isinstance(v, torch.Tensor) else v)) for v in x)


def kl(p, q):  # KL(p || q), both as logarithms
    return F.kl_div(q, p, reduction="sum", log_target=True)


def divergence(name, tau, b, teacher, student):
    t, s = F.log_softmax(teacher / tau, 0), F.log_softmax(student / tau, 0)
    m = (b * t.exp() + (1 - b) * s.exp()).log()
    value = {
        "fkl": lambda: kl(t, s),
        "rkl": lambda: kl(s, t),
        "jsd": lambda: b * kl(t, m) + (1 - b) * kl(s, m),
        "skew": lambda: kl(t, m),
    }[name]()
    return tau**2 * value


def show(name, settings, teacher, z, rest, loss):
    gz, grest = torch.autograd.grad(loss, (z, rest), allow_unused=True)
    print(name, settings, numbers(teacher), numbers([*z, rest]), repr(loss.item()),
          numbers([*gz, 0 if grest is None else grest]), sep="\t")


def logits(scale):
    return (torch.randn(1 + int(torch.randint(1, 5, ())), dtype=torch.float32) * scale).double()


def main():
    torch.manual_seed(5)
    print(f"# PyTorch {torch.__version__}, scripts/peers/loss_goldens.py")
    print("# loss, settings (labels: target offset positives; vocab: target; else tau beta), "
          "teacher's labels and rest, student's, value, gradient")
    for scale in (1, 8):
        for _ in range(2):
            both = logits(scale)
            k = len(both) - 1
            z, rest = both[:k].clone().requires_grad_(), both[k].clone().requires_grad_()
            y = int(torch.randint(k, ()))
            positive = torch.arange(k) % 2 == k % 2
            offset = 0.75
            moved = z + offset * positive
            show("labels", f"{y} {offset} {''.join(str(int(p)) for p in positive)}", [], z, rest,
                 F.cross_entropy(moved, torch.tensor(y)))
            show("vocab", str(y), [], z, rest, F.cross_entropy(torch.cat([z, rest[None]]), torch.tensor(y)))
            teacher = (torch.randn(k + 1) * scale).double()
            for name in ("fkl", "rkl", "jsd", "skew"):
                for tau, b in ((1, 0.1), (2.5, 0.5)):
                    show(name, f"{tau} {b}", teacher, z, rest,
                         divergence(name, tau, b, teacher, torch.cat([z, rest[None]])))
                if k > 1:  # labels alone
                    loss = divergence(name, 2, 0.3, teacher[:k], z)
                    gz, = torch.autograd.grad(loss, z)
                    print(name, "2 0.3", numbers([*teacher[:k], -torch.inf]), numbers([*z, -torch.inf]),
                          repr(loss.item()), numbers([*gz, 0]), sep="\t")


if __name__ == "__main__":
    sys.exit(main())
