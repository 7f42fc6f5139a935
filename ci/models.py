#!/usr/bin/env python3
"""Compares models of regmix with the same models in Hugging Face's transformers.

    ci/models.py target/release/regmix

A small study trains targets. `regmix export-model` writes them, transformers reads them:
logits must be equal to 1e-4, tokens of a text equal, and text is generated. A Llama that
transformers made, in bf16 and in several files, is read by regmix: logits again, and the
losses before the first step of runs that start from it. lm-evaluation-harness, where it is
installed, scores a small task of its own, and `regmix eval` must find the same. `target/release/examples/logits` must be built.
Needs `torch` and `transformers` (ci/torch-cpu.sh): without them, the script says that it is
skipped and ends with 0.
"""
import importlib.util, json, math, os, pathlib, random, struct, subprocess, sys, tempfile

missing = [m for m in ["torch", "transformers"] if importlib.util.find_spec(m) is None]
if missing:
    print("SKIPPED: not installed:", ", ".join(missing))
    sys.exit(0)
os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

transformers.utils.logging.disable_progress_bar()

REGMIX = pathlib.Path(sys.argv[1]).resolve()
LOGITS = REGMIX.parent / "examples/logits"
assert LOGITS.exists(), f"{LOGITS} is not built: cargo build --release --workspace --examples"
TOLERANCE = 1e-4
CONTEXT = 48

STUDY = """
[study]
name = "models"
seed = 5
[corpus]
path = "text"
valid_share = 0.2
[tokenizer]
kind = "{kind}"
vocab_size = 400
[design]
runs = 10
anchors = false
[proxy]
{start}
preset = "nano"
{shape}
steps = 4
batch_size = 2
lr = 4e-3
evaluations = 2
eval_sequences = 100000
[fit]
regressors = ["linear"]
folds = 3
[target]
preset = "nano"
{shape}
steps = 30
batch_size = 8
lr = 2e-2
keep_weights = true
[check]
seeds = 1
"""
SHAPE = """
layers = {layers}
d_model = 32
heads = 4
kv_heads = {kv_heads}
d_ff = 48
context = 48
tied = {tied}
"""
WORDS = {
    "code": "let mut match impl return else fn struct while loop".split(),
    "law": "court shall hereby party section whereas clause act".split(),
}


def documents(domain, seed):
    draw = random.Random(f"{domain} {seed}")
    return [" ".join(draw.choices(WORDS[domain], k=30)) + f" é {i}" for i in range(80)]


def regmix(folder, *arguments):
    done = subprocess.run([REGMIX, "-C", folder, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}\n{done.stderr}"
    return done.stdout


def study(folder, kind, shape, start=""):
    (folder / "text/train").mkdir(parents=True, exist_ok=True)
    for domain in WORDS:
        lines = [json.dumps({"text": text}) + "\n" for text in documents(domain, 0)]
        (folder / f"text/train/{domain}-0.jsonl").write_text("".join(lines))
    (folder / "study.toml").write_text(STUDY.format(kind=kind, shape=shape, start=start))


def tokens_of_shard(folder, split, domain):
    """Documents of a domain, which has one shard (ARCHITECTURE.md): lists of tokens."""
    path, = folder.glob(f"corpus/{split}/{domain}-*.tok")
    data = path.read_bytes()
    version, length = struct.unpack_from("<II", data, 8)
    assert data[:8] == b"RGMXTOK\n" and version == 1, path
    header = json.loads(data[16 : 16 + length])
    count, at = header["tokens"], 16 + length
    tokens = struct.unpack_from(f"<{count}H", data, at)
    ends = struct.unpack_from(f"<{header['documents']}Q", data, at + 2 * count)
    return [list(tokens[a:b]) for a, b in zip((0, *ends), ends)]


def compare_logits(name, folder, ours, vocabulary):
    """Logits by both programs for some sequences of random tokens."""
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    draw = random.Random(name)
    lengths = [1, 2, 17, CONTEXT]
    sequences = [[draw.randrange(vocabulary) for _ in range(n)] for n in lengths]
    text = "".join(" ".join(map(str, s)) + "\n" for s in sequences)
    done = subprocess.run([LOGITS, ours], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    worst = 0.0
    for sequence, line in zip(sequences, done.stdout.splitlines(), strict=True):
        with torch.no_grad():
            expected = theirs(torch.tensor([sequence])).logits[0]
        found = torch.tensor(json.loads(line))
        assert found.shape == expected.shape, (found.shape, expected.shape)
        worst = max(worst, (found - expected).abs().max().item())
    size = expected.abs().max().item()
    assert worst < TOLERANCE, f"{name}: logits differ by {worst}"
    print(f"{name}: logits up to {size:.3f} differ by at most {worst:.1e}")
    return theirs


def out(root, kind, tied, kv_heads):
    """A target of regmix, read by transformers."""
    name = f"out, {kind}, tied {tied}, {kv_heads} of 4 heads for keys"
    folder = root / f"{kind}-{tied}-{kv_heads}"
    shape = SHAPE.format(layers=2, kv_heads=kv_heads, tied=str(tied).lower())
    study(folder, kind, shape)
    for verb in ["tokenize", "design", "train", "fit", "optimize", "target"]:
        regmix(folder, verb)
    model = folder / "hf"
    regmix(folder, "export-model", "targets/found-seed1", "--out", model)
    # One that starts from the exported model has its losses before the first step.
    done = json.loads((folder / "targets/found-seed1/DONE").read_text())
    study(folder, kind, shape, start='from = "hf"')
    regmix(folder, "train", "--redo")
    before = [json.loads(p.read_text()) for p in folder.glob("runs/*/before.json")]
    before = [b for b in before if b]
    assert before and all(b.keys() == done["loss"].keys() for b in before), before

    entries = json.loads((model / "config.json").read_text())["vocab_size"]
    theirs = compare_logits(name, model, folder / "targets/found-seed1", entries)
    compare_logits(name + ", read back", model, model, entries)
    tokenizer = AutoTokenizer.from_pretrained(model)
    end = tokenizer.eos_token_id
    assert (tokenizer.eos_token, tokenizer.bos_token) == ("<|endoftext|>",) * 2
    for domain in WORDS:
        texts = {tuple(tokenizer(text)["input_ids"] + [end]) for text in documents(domain, 0)}
        kept = tokens_of_shard(folder, "train", domain) + tokens_of_shard(folder, "valid", domain)
        assert texts == set(map(tuple, kept)), domain
        losses(theirs, folder, domain, before[0][domain])
    prompt = tokenizer("court shall", return_tensors="pt")
    written = theirs.generate(**prompt, max_new_tokens=12, do_sample=False, pad_token_id=end)
    text = tokenizer.decode(written[0], skip_special_tokens=True)
    assert text.startswith("court shall") and written.shape[1] > prompt["input_ids"].shape[1]
    print(f"{name}: continued to {text!r}")
    return model


def losses(model, folder, domain, expected):
    """The mean loss of a domain's validation text, in windows as regmix cuts them."""
    tokens = sum(tokens_of_shard(folder, "valid", domain), [])
    windows = [tokens[i : i + CONTEXT + 1] for i in range(0, len(tokens) - CONTEXT, CONTEXT)]
    batch = torch.tensor(windows)
    with torch.no_grad():
        logits = model(batch[:, :-1]).logits
        loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch[:, 1:]).item()
    assert abs(loss - expected) < 1e-5, (domain, loss, expected)
    print(f"{domain}: loss {loss:.6f}, by regmix {expected:.6f}")


def into(root, tokenizer):
    """A model that transformers made, in bf16 and several files, read by regmix."""
    torch.manual_seed(3)
    entries = 448
    config = LlamaConfig(
        vocab_size=entries, hidden_size=32, intermediate_size=48, num_hidden_layers=3,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=CONTEXT,
        rms_norm_eps=1e-6, rope_theta=500000.0, initializer_range=0.3,
    )
    folder = root / "made"
    made = LlamaForCausalLM(config).to(torch.bfloat16)
    made.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").exists(), list(folder.iterdir())
    tokenizer.save_pretrained(folder)
    theirs = compare_logits("in, bf16 in several files", folder, folder, entries)
    inside = root / "in"
    shape = SHAPE.format(layers=3, kv_heads=2, tied="false")
    shape += f"vocab_size = {entries}\nrope_base = 500000.0\nnorm_eps = 1e-6\n"
    study(inside, "bpe", shape, start='from = "../made"')
    for verb in ["tokenize", "design", "train"]:
        regmix(inside, verb)
    before = json.loads(next(inside.glob("runs/*/before.json")).read_text())
    for domain in WORDS:
        losses(theirs, inside, domain, before[domain])


TASK = """
task: own
dataset_path: json
dataset_kwargs: {{data_files: {{test: {rows}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: query
doc_to_choice: choices
doc_to_target: gold
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


def harness(root, model):
    """lm-evaluation-harness on a task of its own, as docs/models.md has it."""
    if importlib.util.find_spec("lm_eval") is None:
        print("SKIPPED: lm_eval is not installed")
        return
    draw = random.Random(4)
    rows = []
    for number in range(40):
        right, wrong = draw.sample(sorted(WORDS), 2)
        # Of several lengths, and some that a model of these domains cannot tell apart.
        other = right if number % 4 == 0 else wrong
        choices = [" ".join(draw.choices(WORDS[domain], k=draw.randint(1, 4))) for domain in (right, other)]
        query = " ".join(draw.choices(WORDS[right], k=8)) + " " * (number % 3 == 0)
        rows.append({"query": query, "choices": choices[:: 1 - 2 * (number % 2)], "gold": number % 2})
    tasks = root / "tasks"
    tasks.mkdir()
    path = root / "choices.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tasks / "own.yaml").write_text(TASK.format(rows=path))
    command = [sys.executable, "-m", "lm_eval", "--model", "hf"]
    command += ["--model_args", f"pretrained={model},dtype=float32", "--include_path", tasks]
    command += ["--tasks", "own", "--device", "cpu", "--output_path", root / "results", "--log_samples"]
    environment = {**os.environ, "HF_HOME": str(root / "hf-home")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    results, = (root / "results").rglob("results_*.json")
    own = json.loads(results.read_text())["results"]["own"]
    compare_eval(root, model, path, own, next((root / "results").rglob("samples_own_*.jsonl")))
    # The model has learnt which words go together.
    assert own["acc,none"] > 0.7, own
    print("lm-eval:", {name: value for name, value in own.items() if "," in name})


def compare_eval(root, model, path, theirs, samples):
    """The same questions by `regmix eval`: accuracies, and every log-likelihood."""
    ours = root / "samples.jsonl"
    asked = ["eval", model, "--task", f"choices={path}", "--samples", ours]
    score, = json.loads(regmix(root, *asked, "--format", "json"))[0]["scores"]
    for name in ["acc", "acc_norm"]:
        found = score[name]
        assert abs(found["value"] - theirs[f"{name},none"]) < 1e-12, (name, found, theirs)
        assert abs(found["stderr"] - theirs[f"{name}_stderr,none"]) < 1e-12, (name, found, theirs)
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    worst = 0.0
    for line, own in zip(sorted(lines, key=lambda l: l["doc_id"]), ours.read_text().splitlines(), strict=True):
        expected = [float(choice[0]) for choice in line["filtered_resps"]]
        found = json.loads(own)["log_likelihoods"]
        worst = max(worst, *(abs(a - b) for a, b in zip(expected, found, strict=True)))
    assert worst < TOLERANCE, worst
    print(f"regmix eval: log-likelihoods of {len(lines)} questions differ by at most {worst:.1e}")


with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    model = out(root, "bpe", False, 2)
    harness(root, model)
    out(root, "bytes", True, 4)
    into(root, AutoTokenizer.from_pretrained(model))
