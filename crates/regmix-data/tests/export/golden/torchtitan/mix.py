# torchtitan draws documents. Define a data set of each name before this.
mix = DatasetMixConfig(
    datasets=(
        WeightedDataset(dataset=web, weight=0.8365019),  # /data/web_text_document
        WeightedDataset(dataset=code, weight=0.15209126),  # /data/code_text_document
        WeightedDataset(dataset=law, weight=0.01140684),  # /data/law_text_document
    ),
)
