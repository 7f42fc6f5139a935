from datasets import interleave_datasets, load_dataset

sources = [
    load_dataset("json", data_files=["/data/web/*.jsonl.zst"], split="train", streaming=True),  # web
    load_dataset("json", data_files=["/data/code/*.jsonl.zst"], split="train", streaming=True),  # code
    load_dataset("json", data_files=["/data/law/*.jsonl.zst"], split="train", streaming=True),  # law
]
train = interleave_datasets(
    sources,
    probabilities=[0.8365019, 0.15209126, 0.01140684],
    seed=42,
    stopping_strategy="all_exhausted",
)
