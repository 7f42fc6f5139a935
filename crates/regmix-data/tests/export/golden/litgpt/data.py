from litdata import CombinedStreamingDataset, StreamingDataset, TokensLoader

datasets = [
    StreamingDataset("/data/web_text_document", item_loader=TokensLoader(block_size=4097), shuffle=True, drop_last=True),
    StreamingDataset("/data/code_text_document", item_loader=TokensLoader(block_size=4097), shuffle=True, drop_last=True),
    StreamingDataset("/data/law_text_document", item_loader=TokensLoader(block_size=4097), shuffle=True, drop_last=True),
]
train = CombinedStreamingDataset(
    datasets, seed=42, weights=(0.55, 0.3, 0.15), iterate_over_all=False
)
