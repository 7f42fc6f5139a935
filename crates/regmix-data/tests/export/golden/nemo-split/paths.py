# NeMo 2.0: PreTrainingDataModule(paths=paths, ...)
paths = ["0.55", "/data/web_text_document", "0.3", "/data/code_text_document", "0.15", "/data/law_text_document"]
