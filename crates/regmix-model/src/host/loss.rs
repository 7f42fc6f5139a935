//! The output layer and its cross-entropy, in one.
//!
//! Logits exist for a chunk of rows at a time. Since the loss ends the forward
//! pass, a chunk's gradient is known as soon as its logits are, `softmax -
//! onehot`, and takes their place; both products with it are made before the
//! next chunk. `[tokens, vocab]` is never held, and nothing is computed twice.

use super::matmul::{Matrix, MatrixMut, Write, matrix, matrix_mut, product};
use super::vector::{Op, exponentials, greatest, widest};

/// Logits held at once, in numbers: 8 MiB. More rows per chunk make fewer
/// passes over the weights' gradient, fewer rows stay nearer to the cache.
const HELD: usize = 1 << 21;

/// Rows per chunk, at least and at most.
const ROWS: (usize, usize) = (64, 512);

fn chunk_rows(vocab: usize) -> usize {
    (HELD / vocab).clamp(ROWS.0, ROWS.1)
}

/// Size of the buffer for the logits of that many rows.
pub(super) fn numbers_held(vocab: usize, rows: usize) -> usize {
    chunk_rows(vocab).min(rows) * vocab
}

/// The losses of rows `h`, `[rows, d]`, under the output layer `head`,
/// `[d, vocab]`, are put in `losses`, nats.
pub(super) fn losses(
    h: &[f32],
    head: Matrix<'_>,
    targets: &[u32],
    losses: &mut [f32],
    logits: &mut Vec<f32>,
) {
    let (d, vocab) = head.shape();
    let n = chunk_rows(vocab);
    let chunks = h
        .chunks(n * d)
        .zip(targets.chunks(n))
        .zip(losses.chunks_mut(n));
    for ((h, targets), losses) in chunks {
        let logits = super::attention::sized(logits, targets.len() * vocab);
        product(
            matrix_mut(logits, vocab),
            Write::Replace,
            matrix(h, d),
            head,
        );
        widest(CrossEntropy::<false> {
            logits,
            targets,
            losses,
            weight: 0.0,
        });
    }
}

/// Loss and gradient of the output layer.
pub(super) struct Gradient<'a> {
    /// Takes the gradient with respect to `h`, `[rows, d]`.
    pub(super) dh: &'a mut [f32],
    /// That with respect to the weights, `[d, vocab]`.
    pub(super) dhead: MatrixMut<'a>,
    /// What happens to the numbers in `dhead`.
    pub(super) write: Write,
    /// Factor of all gradients: the weight of one row in the loss.
    pub(super) weight: f32,
}

/// As [`losses`], with the gradient of the losses' weighted sum.
pub(super) fn backward(
    h: &[f32],
    head: Matrix<'_>,
    targets: &[u32],
    losses: &mut [f32],
    gradient: Gradient<'_>,
    logits: &mut Vec<f32>,
) {
    let (d, vocab) = head.shape();
    let n = chunk_rows(vocab);
    let Gradient {
        dh,
        mut dhead,
        mut write,
        weight,
    } = gradient;
    let chunks = h.chunks(n * d).zip(dh.chunks_mut(n * d));
    let chunks = chunks.zip(targets.chunks(n)).zip(losses.chunks_mut(n));
    for (((h, dh), targets), losses) in chunks {
        let logits = super::attention::sized(logits, targets.len() * vocab);
        let h = matrix(h, d);
        product(matrix_mut(logits, vocab), Write::Replace, h, head);
        widest(CrossEntropy::<true> {
            logits,
            targets,
            losses,
            weight,
        });
        let logits = matrix(logits, vocab);
        product(matrix_mut(dh, d), Write::Replace, logits, head.transpose());
        product(dhead.reborrow(), write, h.transpose(), logits);
        write = Write::Add;
    }
}

/// Losses of rows of logits; with `BACKWARD` the logits turn into
/// `weight (softmax - onehot)`.
struct CrossEntropy<'a, const BACKWARD: bool> {
    logits: &'a mut [f32],
    targets: &'a [u32],
    losses: &'a mut [f32],
    weight: f32,
}

impl<const BACKWARD: bool> Op for CrossEntropy<'_, BACKWARD> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let vocab = self.logits.len() / self.targets.len();
        let rows = self.logits.chunks_exact_mut(vocab);
        for ((row, &target), loss) in rows.zip(self.targets).zip(self.losses) {
            let shift = greatest(row);
            let at_target = row[target as usize];
            let sum = exponentials::<FMA>(row, 1.0, shift);
            *loss = sum.ln() + shift - at_target;
            if BACKWARD {
                let factor = self.weight / sum;
                for p in row.iter_mut() {
                    *p *= factor;
                }
                row[target as usize] -= self.weight;
            }
        }
    }
}
