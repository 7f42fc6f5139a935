"""Training speed of the same model in PyTorch, on processor cores or a GPU.

One line per run: tokens per second of all processes together (median over
steps), and the peak memory of one process. Needs torch; `--mode compile` needs
a C++ compiler. The model and its step are those of `regmix-model`: RMSNorm,
rotary positions, grouped causal attention, SwiGLU, untied output layer, f32,
forward, backward, AdamW. Gradients are not clipped, which regmix does.
`--precision bf16` is autocast; `--micro` sequences go through at once and their
gradients are added up. On a GPU the memory is that of the device.
"""

import argparse
import multiprocessing
import resource
import statistics
import time


def build(o):
    import torch
    from torch import nn
    from torch.nn import functional as F

    dim = o.d // o.heads

    def linear(i, out):
        layer = nn.Linear(i, out, bias=False)
        nn.init.normal_(layer.weight, std=(0.4 / i) ** 0.5)
        return layer

    class Norm(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(o.d))

        def forward(self, x):
            return F.rms_norm(x, (o.d,), self.weight, 1e-5)

    def rotate(x, cos, sin):
        low, high = x.chunk(2, -1)
        return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.before_attention, self.before_feed = Norm(), Norm()
            self.q, self.o = linear(o.d, o.d), linear(o.d, o.d)
            self.k, self.v = linear(o.d, o.kv * dim), linear(o.d, o.kv * dim)
            self.gate, self.up, self.down = linear(o.d, o.ff), linear(o.d, o.ff), linear(o.ff, o.d)

        def forward(self, x, cos, sin):
            b, t, _ = x.shape
            h = self.before_attention(x)
            heads = lambda y, n: y.view(b, t, n, dim).transpose(1, 2)
            q = rotate(heads(self.q(h), o.heads), cos, sin)
            k = rotate(heads(self.k(h), o.kv), cos, sin)
            v = heads(self.v(h), o.kv)
            k = k.repeat_interleave(o.heads // o.kv, 1)
            v = v.repeat_interleave(o.heads // o.kv, 1)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.o(y.transpose(1, 2).reshape(b, t, o.d))
            h = self.before_feed(x)
            return x + self.down(F.silu(self.gate(h)) * self.up(h))

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(o.vocab, o.d)
            nn.init.normal_(self.embedding.weight, std=(0.4 / o.d) ** 0.5)
            self.blocks = nn.ModuleList(Block() for _ in range(o.layers))
            self.norm, self.head = Norm(), linear(o.d, o.vocab)
            frequency = 10_000.0 ** -(torch.arange(dim // 2).float() / (dim // 2))
            angle = torch.outer(torch.arange(o.ctx).float(), frequency)
            self.register_buffer("cos", angle.cos())
            self.register_buffer("sin", angle.sin())

        def hidden(self, inputs):
            x = self.embedding(inputs)
            for block in self.blocks:
                x = block(x, self.cos, self.sin)
            return self.norm(x)

        def forward(self, inputs, targets):
            logits = self.head(self.hidden(inputs))
            return F.cross_entropy(logits.view(-1, o.vocab), targets.reshape(-1))

    return Model()


def worker(o, barrier, results):
    import torch

    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    gpu = o.device != "cpu"
    model = build(o).to(o.device)
    micro = o.micro or o.batch
    autocast = torch.autocast(
        torch.device(o.device).type, dtype=torch.bfloat16, enabled=o.precision == "bf16"
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    loss = torch.compile(model) if o.mode == "compile" else model

    def step():
        tokens = torch.randint(0, o.vocab, (o.batch, o.ctx + 1))
        begun = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        for part in tokens.to(o.device).split(micro):
            with autocast:
                value = loss(part[:, :-1].contiguous(), part[:, 1:].contiguous())
            (value * (len(part) / o.batch)).backward()
        optimizer.step()
        value.item()
        return time.perf_counter() - begun

    for _ in range(o.warm):
        step()
    barrier.wait()
    seconds = [step() for _ in range(o.steps)]
    if gpu:
        peak = torch.cuda.max_memory_reserved(o.device) / 2**20
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((o.batch * o.ctx / statistics.median(seconds), peak))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mode", default="eager", choices=["eager", "compile"])
    parser.add_argument("--procs", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="f32", choices=["f32", "bf16"])
    for name, value in [
        ("micro", 0), ("layers", 2), ("d", 256), ("heads", 8), ("kv", 4), ("ff", 512), ("ctx", 256),
        ("vocab", 8192), ("batch", 8), ("steps", 10), ("warm", 3),
    ]:
        parser.add_argument(f"--{name}", type=int, default=value)
    o = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(o.procs), context.Queue()
    processes = [context.Process(target=worker, args=(o, barrier, results)) for _ in range(o.procs)]
    for process in processes:
        process.start()
    found = [results.get() for _ in processes]
    for process in processes:
        process.join()
    print(
        f"torch device={o.device} precision={o.precision} mode={o.mode} procs={o.procs} threads={o.threads} vocab={o.vocab} "
        f"tokens_per_second={sum(f[0] for f in found):.0f} "
        f"peak_mb_per_model={max(f[1] for f in found):.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
