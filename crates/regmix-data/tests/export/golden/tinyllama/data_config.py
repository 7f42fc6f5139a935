train_data_config = [
    ("train_web", 0.55),
    ("train_code", 0.3),
    ("train_law", 0.15),
]
