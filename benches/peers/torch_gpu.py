"""PyTorch at its best on a GPU, for benches/gpu.sh: one line per measurement.

The model is that of torch_step.py, with fused AdamW, scaled_dot_product_attention
and `torch.compile`; bf16 is autocast; f32 is measured with TF32 products too.
`chunked` computes the loss in chunks of rows and their logits again in the
backward pass, which takes less memory. A step has two micro-batches. After
`--seconds` no further measurement begins: compiling one takes up to a minute.

  peak    the card's largest measured product and memory speed
  speed   tokens per second of one model, or of several processes together
"""

import argparse
import multiprocessing
import statistics
import sys
import time
from types import SimpleNamespace

import torch
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from torch_step import build


def shape(name, vocab, context):
    return {
        "1m": SimpleNamespace(layers=2, d=256, heads=8, kv=8, ff=512, ctx=context, vocab=vocab),
        "nano": SimpleNamespace(layers=2, d=64, heads=2, kv=2, ff=192, ctx=128, vocab=4096),
        "micro": SimpleNamespace(layers=4, d=128, heads=4, kv=4, ff=384, ctx=128, vocab=4096),
    }[name]


def synchronize(device):
    if device != "cpu":
        torch.cuda.synchronize()


def seconds_of(work, device, repeats=10):
    for _ in range(3):
        work()
    found = []
    for _ in range(repeats):
        synchronize(device)
        begun = time.perf_counter()
        work()
        synchronize(device)
        found.append(time.perf_counter() - begun)
    return min(found)


def peaks(device):
    size = 8192 if device != "cpu" else 512
    for name, dtype, tf32 in [
        ("bf16", torch.bfloat16, False), ("f32", torch.float32, False), ("tf32", torch.float32, True),
    ]:
        torch.backends.cuda.matmul.allow_tf32 = tf32
        a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
        seconds = seconds_of(lambda: a @ b, device)
        print(f"peak what=product type={name} tflops={2 * size**3 / seconds * 1e-12:.2f}", flush=True)
    torch.backends.cuda.matmul.allow_tf32 = False
    x = torch.randn(size * size, device=device)
    y = torch.empty_like(x)
    seconds = seconds_of(lambda: y.copy_(x), device)
    print(f"peak what=memory gb_per_second={8 * size * size / seconds * 1e-9:.1f}", flush=True)


def chunked_loss(model, rows):
    """The loss in chunks of rows, whose logits are not kept."""

    def part(h, targets):
        return F.cross_entropy(model.head(h), targets, reduction="sum")

    def loss(inputs, targets):
        h = model.hidden(inputs)
        h, targets = h.reshape(-1, h.shape[-1]), targets.reshape(-1)
        total = 0.0
        for h_part, targets_part in zip(h.split(rows), targets.split(rows)):
            total = total + checkpoint(part, h_part, targets_part, use_reentrant=False)
        return total / len(targets)

    return loss


def measure(o, model_name, precision, micro, loss, mode, start=lambda: None):
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    s = shape(model_name, o.vocab, o.context)
    model = build(s).to(o.device)
    autocast = torch.autocast(
        torch.device(o.device).type, dtype=torch.bfloat16, enabled=precision == "bf16"
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), fused=True)
    forward = model if loss == "full" else chunked_loss(model, 8192)
    if mode != "eager":
        forward = torch.compile(forward, mode=None if mode == "compile" else mode)
    tokens = torch.randint(0, s.vocab, (2 * micro, s.ctx + 1)).to(o.device)

    # A graph's output that is kept as the gradient would be overwritten by its next replay.
    set_to_none = mode != "reduce-overhead"

    def step():
        optimizer.zero_grad(set_to_none=set_to_none)
        for part in tokens.split(micro):
            if mode == "reduce-overhead":
                torch.compiler.cudagraph_mark_step_begin()
            with autocast:
                value = forward(part[:, :-1].contiguous(), part[:, 1:].contiguous())
            (value / 2).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    if o.device != "cpu":
        torch.cuda.reset_peak_memory_stats()
    for _ in range(3):
        step()
    synchronize(o.device)
    start()
    seconds = []
    begun = time.perf_counter()
    while len(seconds) < 3 or time.perf_counter() - begun < 1.0:
        one = time.perf_counter()
        step()
        synchronize(o.device)
        seconds.append(time.perf_counter() - one)
    peak = torch.cuda.max_memory_reserved() / 2**20 if o.device != "cpu" else 0
    return 2 * micro * s.ctx / statistics.median(seconds), peak


def report(what, found):
    speed, peak = found
    print(f"speed {what} tokens_per_second={speed:.0f} peak_mb={peak:.0f}", flush=True)


def process(o, model_name, mode, barrier, results):
    try:
        results.put(measure(o, model_name, "f32", 16, "full", mode, barrier.wait))
    except Exception as e:  # The others wait for this process.
        barrier.abort()
        results.put(e)


def processes(o, model_name, mode, count):
    """A process per model."""
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(count), context.Queue()
    args = (o, model_name, mode, barrier, results)
    all_of_them = [context.Process(target=process, args=args) for _ in range(count)]
    for one in all_of_them:
        one.start()
    found = [results.get() for _ in all_of_them]
    for one in all_of_them:
        one.join()
    for one in found:
        if isinstance(one, Exception):
            raise one
    return sum(f[0] for f in found), sum(f[1] for f in found)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--vocab", type=int, default=50432)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--micro", default="64,32")
    parser.add_argument("--mode", default="compile", help="of one model: eager or compile")
    parser.add_argument("--processes", default="1,4")
    parser.add_argument("--best", action="store_true", help="only `1m` in bf16 and the most processes of `nano`, without the peaks")
    o = parser.parse_args()
    begun = time.perf_counter()
    if not o.best:
        peaks(o.device)
    micros = [int(m) for m in o.micro.split(",")]
    small = "eager" if o.device == "cpu" else "reduce-overhead"
    plan = [("1m", "bf16", m, "full", o.mode, 0) for m in micros]
    counts = [int(n) for n in o.processes.split(",")]
    if o.best:
        plan += [("nano", "f32", 16, "full", small, max(counts))]
    else:
        plan += [("1m", "tf32", micros[0], "full", o.mode, 0)]
        plan += [("nano", "f32", 16, "full", small, n) for n in counts]
        plan += [("1m", "bf16", micros[0], "chunked", o.mode, 0), ("1m", "f32", micros[0], "full", o.mode, 0)]
        plan += [("micro", "f32", 16, "full", small, n) for n in counts]
    for name, precision, micro, loss, mode, count in plan:
        what = f"model={name} precision={precision} micro={micro} loss={loss} mode={mode} models={count or 1}"
        if time.perf_counter() - begun > o.seconds:
            print(f"skipped {what}", flush=True)
            continue
        try:
            if count:
                found = processes(o, name, mode, count)
            else:
                found = measure(o, name, precision, micro, loss, mode)
            report(what, found)
        except Exception as e:
            why = str(e).splitlines()[0] if str(e) else type(e).__name__
            print(f"failed {what} why=\"{why}\"", flush=True)
        torch._dynamo.reset()
        if o.device != "cpu":
            torch.cuda.empty_cache()


if __name__ == "__main__":
    sys.exit(main())
