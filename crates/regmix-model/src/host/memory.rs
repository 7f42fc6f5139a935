//! The memory of a model in training.

use super::{attention, loss};
use crate::config::ModelConfig;

/// How many numbers of 4 bytes a model holds in training.
pub(crate) fn numbers_held(config: &ModelConfig, micro_batch: usize) -> u64 {
    // In 128 bits, since this also judges models that no machine can hold.
    let wide = |n: usize| n as u128;
    let (d, ff) = (wide(config.d_model), wide(config.d_ff));
    let (vocab, kv) = (
        wide(config.vocab_size),
        wide(config.kv_heads * config.head_dim()),
    );
    let rows = wide(micro_batch) * wide(config.context);
    let parameters = wide(config.parameters().total());
    let embedding = vocab * d;
    let gradient = if config.tied {
        parameters
    } else {
        // Of the embedding only the rows of tokens seen, and a table of places.
        parameters - embedding + embedding.min(rows * d) + vocab
    };
    let block = 6 * d + 2 * kv + 3 * ff + wide(config.heads) + 2;
    let between = wide(config.layers) * block + 6 * d + 2 * kv + ff + 4;
    let buffers = loss::numbers_held(vocab, rows) + attention::numbers_held(wide(config.context));
    let all = 3 * parameters + gradient + rows * between + buffers;
    u64::try_from(all).unwrap_or(u64::MAX)
}
