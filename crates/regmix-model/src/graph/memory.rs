//! How much memory training on a device takes.

use super::Limits;
use super::attention::block_rows;
use super::loss::chunk_rows;
use crate::config::ModelConfig;
use crate::precision::Precision;

/// Bytes of an f32.
const WIDE: u128 = 4;

/// Bytes that a model holds in training, `micro_batch` sequences at a time: the
/// weights with their gradient and moments, what the forward pass keeps, and the
/// most that is held besides at any time. An allocator that keeps freed memory for
/// reuse takes more.
pub(crate) fn bytes_held(
    config: &ModelConfig,
    micro_batch: usize,
    precision: Precision,
    limits: Limits,
) -> u64 {
    // In 128 bits, since this also judges models that no device can hold.
    let wide = |n: usize| n as u128;
    let sizes = Sizes {
        rows: wide(micro_batch) * wide(config.context),
        d: wide(config.d_model),
        kv: wide(config.kv_heads * config.head_dim()),
        ff: wide(config.d_ff),
        heads: wide(config.heads),
        vocab: wide(config.vocab_size),
        operand: match precision {
            Precision::F32 => WIDE,
            Precision::Bf16 => 2,
        },
    };
    let besides = [
        sizes.output_layer(config, micro_batch, limits),
        sizes.attention_back(config, micro_batch, limits),
        sizes.feed_forward_back(),
        sizes.embedding_back(),
        sizes.update(),
    ];
    let most = besides.into_iter().max().unwrap_or(0);
    let all = sizes.parameters(config) + sizes.kept(config) + most;
    u64::try_from(all).unwrap_or(u64::MAX)
}

struct Sizes {
    /// Tokens that go through the model at once.
    rows: u128,
    d: u128,
    kv: u128,
    ff: u128,
    heads: u128,
    vocab: u128,
    /// Bytes of a number in an operand.
    operand: u128,
}

impl Sizes {
    /// Weights, gradient and moments, and the weights as operands.
    fn parameters(&self, config: &ModelConfig) -> u128 {
        let all = config.parameters().total() as u128;
        let rounded = if self.operand < WIDE {
            let looked_up = if config.tied { 0 } else { self.vocab * self.d };
            self.operand * (all - looked_up)
        } else {
            0
        };
        4 * WIDE * all + rounded
    }

    /// What the forward pass keeps for the backward pass.
    fn kept(&self, config: &ModelConfig) -> u128 {
        let (d, o) = (self.d, self.operand);
        let attended = WIDE * (d + 1 + self.heads) + o * (3 * d + 2 * self.kv);
        let fed = WIDE * (d + 1) + o * (d + 2 * self.ff);
        let last = WIDE * (d + 1) + o * d;
        self.rows * (config.layers as u128 * (attended + fed) + last)
    }

    /// A chunk of logits with its exponentials and their gradient, the gradients of
    /// all rows, and of the weights with what is being added to it.
    fn output_layer(&self, config: &ModelConfig, micro_batch: usize, limits: Limits) -> u128 {
        let rows = micro_batch.saturating_mul(config.context);
        let chunk = chunk_rows(rows, config.vocab_size, limits.logits) as u128;
        let logits = chunk * self.vocab * (2 * WIDE + self.operand);
        logits + 2 * WIDE * self.rows * self.d + 2 * WIDE * self.vocab * self.d
    }

    /// A block of scores, probabilities and their gradients, and the gradients of
    /// queries, keys and values.
    fn attention_back(&self, config: &ModelConfig, micro_batch: usize, limits: Limits) -> u128 {
        let heads = micro_batch.saturating_mul(config.heads);
        let block = block_rows(heads, config.context, limits.scores) as u128;
        let scores = micro_batch as u128 * self.heads * block * config.context as u128;
        let narrow = self.rows * (self.d + self.kv);
        scores * (3 * WIDE + 2 * self.operand) + narrow * (4 * WIDE + self.operand)
    }

    /// Both projections, their sigmoid, and all gradients of them.
    fn feed_forward_back(&self) -> u128 {
        self.rows * (self.ff * (6 * WIDE + self.operand) + 2 * WIDE * self.d)
    }

    /// The rows of tokens, gathered and added up.
    fn embedding_back(&self) -> u128 {
        WIDE * self.d * (4 * self.rows + self.vocab)
    }

    /// The largest parameter's update.
    fn update(&self) -> u128 {
        let largest = (self.vocab * self.d).max(2 * self.d * self.ff);
        4 * WIDE * largest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_papers_model_fits_into_20_gb_at_32_sequences() {
        let config = ModelConfig::preset("1m", 50_432).unwrap();
        let gb = |precision| bytes_held(&config, 32, precision, Limits::default()) as f64 / 1e9;
        let (plain, reduced) = (gb(Precision::F32), gb(Precision::Bf16));
        assert!((2.0..6.0).contains(&reduced), "{reduced}");
        assert!(reduced < plain && plain < 8.0, "{plain}");
        let huge = ModelConfig::preset("1b", 50_432).unwrap();
        let bytes = bytes_held(&huge, usize::MAX >> 20, Precision::F32, Limits::default());
        assert_eq!(bytes, u64::MAX);
    }
}
