#!/usr/bin/env python3
"""Reads what `regmix export` writes with the readers of the trainers.

    ci/export.py target/release/regmix

YAML is read by PyYAML (YAML 1.1, as nearly all trainers do) and OmegaConf, Python is
run, and Hugging Face's datasets interleaves documents by the probabilities: the shares of
tokens that it draws must be those of the mixture. Names and paths are such as YAML and
shells like to misread. MosaicML's Stream is made where that package is there. Needs
`pyyaml`, `omegaconf` and `datasets` of PyPI: without them, the script says that it is
skipped and ends with 0.
"""
import importlib.util, json, math, os, pathlib, shlex, subprocess, sys, tempfile

missing = [m for m in ["yaml", "omegaconf", "datasets"] if importlib.util.find_spec(m) is None]
if missing:
    print("SKIPPED: not installed:", ", ".join(missing))
    sys.exit(0)
os.environ["HF_HUB_OFFLINE"] = "1"
import yaml
from omegaconf import OmegaConf

REGMIX = str(pathlib.Path(sys.argv[1]).resolve())
# Names that YAML 1.1 would read as a truth value, a number, a map, and others.
WEIGHTS = {"web": 0.5, "on": 0.25, "1e3": 0.125, "a: b": 0.0625, "中文": 0.0625 - 1e-8, "tiny": 1e-8, "none": 0.0}
DRAWN = [name for name, w in WEIGHTS.items() if w > 0]


def mapping(folder, path, **more):
    """A mapping of all domains by a function from a number to a path."""
    lines = ["[run]", "tokens = 1e9", "sequence_length = 2048", "batch_size = 256", "max_epochs = 4.0"]
    for i, (name, w) in enumerate(WEIGHTS.items()):
        lines += [f"[domains.{json.dumps(name, ensure_ascii=False)}]"]
        lines += [f"path = {json.dumps(path(i))}"]
        # Exactly as many as four epochs of the mixture need.
        lines += [f"tokens = {max(1e9 * w / 4, 1.0)!r}", f"documents = {1000.0 * (i + 1)}"]
        if i == 0:
            lines += [f"{key} = {json.dumps(value)}" for key, value in more.items()]
    file = folder / "mapping.toml"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def export(folder, trainer, path, *flags, **more):
    mixture = folder / "mixture.json"
    mixture.write_text(json.dumps(WEIGHTS))
    command = [REGMIX, "export", "--to", trainer, "--mixture", str(mixture)]
    command += ["--mapping", mapping(folder, path, **more), *flags]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(command)}\n{done.stderr}"
    return done.stdout


def same(written, expected=None, names=None):
    """Weights by name are those of the mixture, and sum to 1."""
    expected = expected or {n: w for n, w in WEIGHTS.items() if w > 0}
    names = names or list(expected)
    assert list(written) == names, f"{list(written)} and not {names}"
    assert all(type(w) is float for w in written.values()), written
    assert abs(math.fsum(written.values()) - 1) < 1e-15, written
    for (name, w), want in zip(written.items(), expected.values()):
        assert abs(w - want) < 2e-8, (name, w, want)


def load(text):
    """By PyYAML, which must agree with OmegaConf."""
    value = yaml.safe_load(text)
    assert OmegaConf.to_container(OmegaConf.create(text)) == value
    return value


def blend(words):
    """The rule of Megatron Core for a list of words: pairs of weights and prefixes."""
    def number(word):
        try:
            float(word)
        except ValueError:
            return False
        return True
    assert len(words) % 2 == 0, "an odd list would be read as prefixes"
    firsts = words[::2]
    assert all(map(number, firsts)) and not any(map(number, words[1::2]))
    assert all(float(w) > 0 for w in firsts), "Megatron asserts positive weights"
    return dict(zip(words[1::2], map(float, firsts)))


PREFIXES = [f"/d/{i}_text" for i in range(len(DRAWN))]
HELD = {"valid": "/d/valid_text", "test": "/d/test_text"}


def megatron(folder):
    prefix = lambda i: f"/d/{i}_text"
    words = shlex.split(export(folder, "megatron", prefix))
    assert words.pop(0) == "--data-path"
    same(blend(words), names=PREFIXES)
    same(blend(export(folder, "megatron-args", prefix).split()), names=PREFIXES)
    splits = json.loads(export(folder, "megatron-json", prefix, **HELD))
    assert list(splits) == ["train", "valid", "test"]
    assert splits["valid"] == [HELD["valid"]] and splits["test"] == [HELD["test"]]
    same(blend(splits["train"]), names=PREFIXES)
    scope = {}
    exec(export(folder, "nemo", prefix, **HELD), scope)
    assert list(scope["paths"]) == ["train", "validation", "test"]
    same(blend(scope["paths"]["train"]), names=PREFIXES)
    paths, weights = load(export(folder, "megatron-bridge", prefix))["dataset"]["blend"]
    same(dict(zip(paths, weights)), names=PREFIXES)
    neox = load(export(folder, "gpt-neox", prefix, **HELD))
    same(dict(zip(neox["train-data-paths"], neox["train-data-weights"])), names=PREFIXES)
    assert neox["weight_by_num_documents"] is False


def yaml_trainers(folder):
    # Paths with blanks and signs are values like any other.
    path = lambda i: f"/my data/{i}: #'\"x"
    of = {path(i): n for i, n in enumerate(WEIGHTS)}
    sets = load(export(folder, "energon", path, "--unit", "sequences"))["splits"]["train"]["blend"]
    same({of[s["path"]]: s["weight"] for s in sets})
    data = load(export(folder, "levanter", path))["data"]
    assert list(data["configs"]) == list(WEIGHTS)
    same(data["train_weights"], WEIGHTS)
    streams = load(export(folder, "mosaic-streaming", path))["train_loader"]["dataset"]["streams"]
    same({n: s["proportion"] for n, s in streams.items()})
    stage, = load(export(folder, "nanotron", path))["data_stages"]
    assert stage["start_training_step"] == 1
    data = stage["data"]["dataset"]
    same(dict(zip([of[p] for p in data["dataset_folder"]], data["dataset_weights"])))
    config = load(export(folder, "regmix-yaml", lambda i: f"train_{i}x", valid="valid_0"))
    same(config["train"], names=[f"train_{i}x" for i in range(len(DRAWN))])

    sources = load(export(folder, "olmo-core", lambda i: f"/d/{i}/*.npy"))["sources"]
    same({s["source_name"]: s["target_ratio"] for s in sources})
    for source in sources:
        # OLMo-core's own check.
        tokens = max(1e9 * WEIGHTS[source["source_name"]] / 4, 1.0)
        room = tokens * source["max_source_fraction"] * source["max_repetition_ratio"]
        assert room >= 1e9 * source["target_ratio"] * (1 - 1e-12), source


def mosaic(folder):
    """What a dataset of streams draws in an epoch."""
    if importlib.util.find_spec("streaming") is None:
        print("SKIPPED: mosaicml-streaming is not installed")
        return
    from streaming import MDSWriter, Stream, StreamingDataset
    path = lambda i: str(folder / f"streams/{i} x")
    streams = load(export(folder, "mosaic-streaming", path))["train_loader"]["dataset"]["streams"]
    for i, name in enumerate(WEIGHTS):
        with MDSWriter(out=f"{path(i)}/train", columns={"domain": "str"}) as writer:
            for _ in range(100 + 50 * i):
                writer.write({"domain": name})
    size = 16_000
    drawn = StreamingDataset(
        streams=[Stream(**values) for values in streams.values()], epoch_size=size, batch_size=8
    )
    count = dict.fromkeys(DRAWN, 0)
    for sample in drawn:
        count[sample["domain"]] += 1
    assert sum(count.values()) == size, count
    for name in DRAWN:
        assert abs(count[name] - size * WEIGHTS[name]) <= 1, (name, count)
    print("StreamingDataset draws", count)


def python_trainers(folder):
    scope = {}
    exec(export(folder, "tinyllama", lambda i: f"train_{i}x"), scope)
    same(dict(scope["train_data_config"]), names=[f"train_{i}x" for i in range(len(DRAWN))])

    class Recorded:
        def __init__(self, *args, **kwargs):
            self.args, self.kwargs = args, kwargs
    text = export(folder, "litgpt", lambda i: f"/my data/{i}")
    scope = {n: Recorded for n in ["CombinedStreamingDataset", "StreamingDataset", "TokensLoader"]}
    exec("\n".join(text.splitlines()[1:]), scope)
    same(dict(zip(DRAWN, scope["train"].kwargs["weights"])))
    assert scope["train"].kwargs["iterate_over_all"] is False
    assert scope["datasets"][0].kwargs["item_loader"].kwargs == {"block_size": 2049}


def json_and_csv(folder):
    path = lambda i: f"/d/{i}"
    weights = json.loads(export(folder, "doremi-json", path))
    same(weights["train_domain_weights"], WEIGHTS)
    assert list(weights["eval_domain_weights"]) == list(WEIGHTS)
    mix = json.loads(export(folder, "olmix", path))
    same({n: m["weight"] for n, m in mix.items()})
    assert all(m["repetition_factor"] == 4.0 for m in mix.values())
    value = json.loads(export(folder, "json", path))
    same(dict(zip([d["name"] for d in value["domains"]], value["weights"])), WEIGHTS)
    rows = [line.rsplit(",", 1) for line in export(folder, "csv", path).splitlines()[1:]]
    same({n.strip('"'): float(w) for n, w in rows}, WEIGHTS)


def interleaved(folder):
    """Draws documents as `interleave_datasets` does, and counts their tokens."""
    lengths = {"web": 10, "code": 40, "law": 100}
    shares = {"web": 0.5, "code": 0.3, "law": 0.2}
    lines = ["[run]"]
    for name, length in lengths.items():
        file = folder / f"{name}.jsonl"
        text = json.dumps({"domain": name, "text": "x " * length}) + "\n"
        file.write_text(text * 4000)
        lines += [f"[domains.{name}]", f"path = {json.dumps(str(file))}"]
        lines += [f"tokens = {4000 * length}", "documents = 4000"]
    (folder / "mapping.toml").write_text("\n".join(lines) + "\n")
    (folder / "mixture.json").write_text(json.dumps(shares))
    done = subprocess.run(
        [REGMIX, "export", "--to", "hf-datasets", "--mixture", "mixture.json", "--mapping",
         "mapping.toml", "--tokens", "40000", "--out", "data.py"],
        cwd=folder, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    scope = {}
    exec((folder / "data.py").read_text(), scope)
    tokens = dict.fromkeys(lengths, 0)
    for row in scope["train"].take(4000):
        tokens[row["domain"]] += lengths[row["domain"]]
    whole = sum(tokens.values())
    for name, share in shares.items():
        # 4000 documents: a share is known to about two hundredths.
        assert abs(tokens[name] / whole - share) < 0.03, (name, tokens)
    print("interleave_datasets draws", {n: round(t / whole, 3) for n, t in tokens.items()})


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    os.environ["HF_HOME"] = str(folder / "cache")
    for check in [megatron, yaml_trainers, mosaic, python_trainers, json_and_csv, interleaved]:
        check(folder)
        print("ok", check.__name__)
