//! The memory of a model in training.

#[cfg(test)]
use super::{Buffers, EMBEDDING, Host, block};
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

#[cfg(test)]
impl Host {
    /// The length of all its vectors together, without small scratch buffers.
    pub(crate) fn held(&self) -> usize {
        let Buffers {
            stream,
            blocks,
            work,
            root,
            normed,
            dnormed,
            dx,
            losses,
            ..
        } = &self.buffers;
        let between = [root, normed, dnormed, dx, losses];
        let moments = self.state.moments.iter().flat_map(|(m, v)| [m, v]);
        let vectors = (self.state.weights.iter().chain(moments))
            .chain(&self.gradient.dense)
            .chain(stream)
            .chain(between);
        vectors.map(Vec::len).sum::<usize>()
            + blocks.iter().map(block::Activations::held).sum::<usize>()
            + work.held()
            + self.gradient.rows.as_ref().map_or(0, |r| r.rows().len())
    }

    /// The gradient so far, in the order of the parameters.
    pub(crate) fn gradients(&self) -> Vec<Vec<f32>> {
        let mut all = self.gradient.dense.clone();
        if let Some(rows) = &self.gradient.rows {
            let ids = 0..self.config.vocab_size;
            all[EMBEDDING] = ids.flat_map(|id| rows.of(id).to_vec()).collect();
        }
        all
    }
}
