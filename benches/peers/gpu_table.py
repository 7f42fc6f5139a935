"""The table of benches/gpu.sh, from the logs in a folder."""

import csv
import pathlib
import re
import sys


def lines(path):
    """Lines of `kind key=value ...` as (kind, {key: value})."""
    if not path.exists():
        return
    for line in path.read_text(errors="replace").splitlines():
        kind, _, rest = line.partition(" ")
        if kind in {"loss", "speed", "failed", "peak", "study", "skipped"}:
            pairs = re.findall(r'(\w+)=("[^"]*"|\S+)', rest)
            yield kind, {key: value.strip('"') for key, value in pairs}


def rounds(folder):
    """The best of ours and of PyTorch's in every round, and their ratios."""
    for model, what in [("1m", "1m in bf16"), ("nano", "several nano")]:
        ratios = []
        for path in sorted(folder.glob("round-*.log")):
            of = lambda p: [float(v["tokens_per_second"]) for k, v in lines(p)
                            if k == "speed" and v["model"] == model]
            ours, theirs = of(path), of(folder / f"torch-{path.name}")
            if ours and theirs:
                ratios.append(max(ours) / max(theirs))
                print(f"{path.stem}, {what}: {max(ours):.0f} and PyTorch {max(theirs):.0f} tokens/s, {ratios[-1]:.3f}")
        if ratios:
            print(f"{what}, of PyTorch's best: {min(ratios):.3f} to {max(ratios):.3f}")


def kernels(path):
    """The kernels that take most of the time."""
    found = {}
    text = path.read_text(errors="replace") if path.exists() else ""
    for row in csv.DictReader(line for line in text.splitlines() if line.startswith('"')):
        scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3}[row["Metric Unit"]]
        name = re.sub(r"_[0-9a-f]{8}$", "", row["Kernel Name"].split("(")[0])
        count, time = found.get(name, (0, 0.0))
        found[name] = (count + 1, time + scale * float(row["Metric Value"].replace(",", "")))
    whole = sum(time for _, time in found.values())
    for name, (count, time) in sorted(found.items(), key=lambda of: -of[1][1])[:16]:
        print(f"{time / whole:6.1%} {time / count:8.1f} us x {count:4}  {name[:70]}")


def main():
    folder = pathlib.Path(sys.argv[1])
    ours = list(lines(folder / "sweep.log"))
    theirs = list(lines(folder / "torch.log"))
    for precision in ["f32", "bf16"]:
        gaps = [float(v["gap"]) for k, v in ours if k == "loss" and v["precision"] == precision]
        if gaps:
            limit = 0.001 if precision == "f32" else 0.02
            verdict = "as they should be" if max(gaps) < limit else f"MORE THAN {limit}"
            print(f"losses in {precision}: at most {max(gaps):.6f} nats from the CPU's, {verdict}")
    peaks = {v.get("type", "memory"): v for k, v in theirs if k == "peak"}
    for name, v in peaks.items():
        value = v.get("tflops") and f"{v['tflops']} TFLOP/s" or f"{v['gb_per_second']} GB/s"
        print(f"peak of the card, {name}: {value}")

    best = {}
    for kind, v in theirs:
        if kind == "speed":
            # The back-end's products in f32 are TF32, too.
            key = (v["model"], "f32" if v["precision"] == "tf32" else v["precision"])
            best[key] = max(best.get(key, 0.0), float(v["tokens_per_second"]))
    rounds(folder)
    print()
    head = ["program", "model", "precision", "micro", "models", "tokens/s", "of PyTorch's best",
            "TFLOP/s", "of peak", "MB"]
    rows = [head]
    others = sorted(folder.glob("sweep-*.log"))
    for name, found in [("regmix", ours), ("torch", theirs)] + [(p.stem, list(lines(p))) for p in others]:
        for kind, v in found:
            what = [name, v.get("model", ""), v.get("precision", ""), v.get("micro", ""), v.get("models", "")]
            if kind in {"failed", "skipped"} and "model" in v:
                rows.append(what + [kind + ": " + v.get("why", "")[:60]])
            if kind != "speed":
                continue
            speed = float(v["tokens_per_second"])
            peer = best.get((v["model"], v["precision"]))
            tflops = v.get("tflops", "")
            precision = "tf32" if v["precision"] == "f32" and name != "torch" else v["precision"]
            peak = peaks.get(precision, {}).get("tflops")
            share = f"{float(tflops) / float(peak):.3f}" if tflops and peak else ""
            memory = v.get("card_mb") or v.get("peak_mb", "")
            extra = [f"{speed:.0f}", f"{speed / peer:.2f}" if peer else "", tflops, share, memory]
            label = [v[k] for k in ("loss", "mode") if k in v]
            what[0] = " ".join([name, *label])
            rows.append(what + extra)
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(head))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    steps = [(v["step"], float(v["seconds"])) for k, v in lines(folder / "study.log") if k == "study"]
    if steps:
        print()
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in steps)
        print(f"nano study of 16 proxies: {sum(s for _, s in steps):.1f} s ({parts})")

    print()
    kernels(folder / "kernels.log")


if __name__ == "__main__":
    main()
