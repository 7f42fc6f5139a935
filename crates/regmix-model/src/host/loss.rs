//! The output layer together with its cross-entropy.
//!
//! The logits of one chunk of rows are held at a time, in panels of columns that
//! fit into the cache: a panel is computed and replaced by its exponentials
//! before the next one. Maximum and sum of a row are updated from panel to panel
//! (Milakov and Gimelshein 2018, arXiv 1805.02867). Since the loss is the end of
//! the forward pass, a chunk's gradient, `softmax - onehot`, is then known. It is
//! computed in place, panel by panel, followed by both products with it. So
//! `[tokens, vocab]` is never held, and no product is computed twice.

use super::matrix::{Matrix, MatrixMut, Write, matrix, matrix_mut, sized};
use super::product::Products;
use super::vector::{Op, exp, exponentials, greatest, widest};

/// Most rows of a chunk. With more rows there are fewer passes over the weights and
/// their gradient; fewer rows take less memory.
const ROWS: usize = 1024;

/// Fewest rows of a chunk.
const FEWEST_ROWS: usize = 256;

/// Logits of a chunk, unless it has the fewest rows: 50 MB.
const LOGITS: usize = FEWEST_ROWS * 50_432;

/// Columns of a panel.
const COLUMNS: usize = 512;

/// Rows of a chunk. The sums over rows are made chunk by chunk, so that this
/// depends on nothing but the vocabulary.
fn rows_of_chunk(vocab: usize) -> usize {
    let rows = LOGITS / vocab / FEWEST_ROWS * FEWEST_ROWS;
    rows.clamp(FEWEST_ROWS, ROWS)
}

/// Buffers, reused between calls.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// Panel after panel, `[panels][rows, columns]`.
    logits: Vec<f32>,
    /// What was subtracted from a row's logits in each panel, `[panels][rows]`.
    shifts: Vec<f32>,
}

/// Size of [`Scratch`] for that many rows.
pub(super) fn numbers_held(vocab: u128, rows: u128) -> u128 {
    let chunk = rows_of_chunk(usize::try_from(vocab).unwrap_or(usize::MAX)) as u128;
    rows.min(chunk) * (vocab + vocab.div_ceil(COLUMNS as u128))
}

fn panels(vocab: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..vocab)
        .step_by(COLUMNS)
        .map(move |from| (from, (from + COLUMNS).min(vocab)))
}

/// Computes the losses of rows `h`, `[rows, d]`, with the output layer `head`,
/// `[d, vocab]`, in nats.
pub(super) fn losses(
    h: &[f32],
    head: Matrix<'_>,
    targets: &[u32],
    losses: &mut [f32],
    scratch: &mut Scratch,
    products: &mut Products,
) {
    let (d, vocab) = head.shape();
    let rows = rows_of_chunk(vocab);
    let chunks = (h.chunks(rows * d).zip(targets.chunks(rows))).zip(losses.chunks_mut(rows));
    for ((h, targets), losses) in chunks {
        let n = targets.len();
        let mut softmax = Softmax::new(losses);
        for (from, to) in panels(vocab) {
            let panel = sized(&mut scratch.logits, n * (to - from));
            let shifts = sized(&mut scratch.shifts, n);
            let out = matrix_mut(panel, to - from);
            products.product(out, Write::Replace, matrix(h, d), head.columns(from, to));
            softmax.take(panel, from, targets, shifts);
        }
        softmax.finish();
    }
}

/// Loss and gradient of the output layer.
pub(super) struct Gradient<'a> {
    /// Receives the gradient with respect to `h`, `[rows, d]`.
    pub(super) dh: &'a mut [f32],
    /// Receives the gradient with respect to the weights, `[d, vocab]`.
    pub(super) dhead: MatrixMut<'a>,
    /// Whether `dhead` is replaced or added to.
    pub(super) write: Write,
    /// The weight of every row in the loss: a factor of its gradients.
    pub(super) weights: &'a [f32],
}

/// As [`losses`], with the gradient of the losses' weighted sum.
pub(super) fn backward(
    h: &[f32],
    head: Matrix<'_>,
    targets: &[u32],
    losses: &mut [f32],
    mut gradient: Gradient<'_>,
    scratch: &mut Scratch,
    products: &mut Products,
) {
    let (d, vocab) = head.shape();
    let rows = rows_of_chunk(vocab);
    let chunks = h.chunks(rows * d).zip(gradient.dh.chunks_mut(rows * d));
    let given = targets.chunks(rows).zip(gradient.weights.chunks(rows));
    let chunks = (chunks.zip(given)).zip(losses.chunks_mut(rows));
    for (((h, dh), (targets, weights)), losses) in chunks {
        let n = targets.len();
        let h = matrix(h, d);
        let logits = sized(&mut scratch.logits, n * vocab);
        let shifts = sized(&mut scratch.shifts, n * vocab.div_ceil(COLUMNS));
        let mut softmax = Softmax::new(losses);
        for ((from, to), shifts) in panels(vocab).zip(shifts.chunks_exact_mut(n)) {
            let panel = &mut logits[from * n..to * n];
            let out = matrix_mut(panel, to - from);
            products.product(out, Write::Replace, h, head.columns(from, to));
            softmax.take(panel, from, targets, shifts);
        }
        let sums = softmax.finish();
        for ((from, to), shifts) in panels(vocab).zip(shifts.chunks_exact(n)) {
            let panel = &mut logits[from * n..to * n];
            widest(Normalize {
                panel,
                from,
                targets,
                shifts,
                sums: &sums,
                weights,
            });
            let dlogits = matrix(panel, to - from);
            let first = if from == 0 {
                Write::Replace
            } else {
                Write::Add
            };
            let back = head.columns(from, to).transpose();
            products.product(matrix_mut(dh, d), first, dlogits, back);
            let dweights = gradient.dhead.columns(from, to);
            products.product(dweights, gradient.write, h.transpose(), dlogits);
        }
        gradient.write = Write::Add;
    }
}

/// The softmax of rows, panel by panel.
struct Softmax<'a> {
    /// The greatest logit of every row so far.
    shift: Vec<f32>,
    /// The sum of exponentials so far, of logits less `shift`.
    sum: Vec<f32>,
    /// The target's logit once its panel was taken; in the end the loss.
    losses: &'a mut [f32],
}

impl<'a> Softmax<'a> {
    fn new(losses: &'a mut [f32]) -> Self {
        Self {
            shift: vec![f32::NEG_INFINITY; losses.len()],
            sum: vec![0.0; losses.len()],
            losses,
        }
    }

    /// Replaces a panel of logits, whose first column is `from`, by exponentials
    /// of the logits less the greatest so far, which is stored in `shifts`.
    fn take(&mut self, panel: &mut [f32], from: usize, targets: &[u32], shifts: &mut [f32]) {
        widest(Take {
            softmax: self,
            panel,
            from,
            targets,
            shifts,
        });
    }

    /// Completes the losses, and returns the logarithms of the softmax's sums.
    fn finish(self) -> Vec<f32> {
        let sums = self.shift.iter().zip(&self.sum).map(|(m, s)| m + s.ln());
        let sums: Vec<f32> = sums.collect();
        for (loss, sum) in self.losses.iter_mut().zip(&sums) {
            *loss = sum - *loss;
        }
        sums
    }
}

struct Take<'a, 'b> {
    softmax: &'a mut Softmax<'b>,
    panel: &'a mut [f32],
    from: usize,
    targets: &'a [u32],
    shifts: &'a mut [f32],
}

impl Op for Take<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Softmax { shift, sum, losses } = self.softmax;
        let columns = self.panel.len() / self.targets.len();
        let rows = self.panel.chunks_exact_mut(columns);
        for (i, (row, &target)) in rows.zip(self.targets).enumerate() {
            if let Some(&logit) = (target as usize)
                .checked_sub(self.from)
                .and_then(|t| row.get(t))
            {
                losses[i] = logit;
            }
            let top = greatest(row);
            let top = if top > shift[i] { top } else { shift[i] };
            let before = sum[i] * exp::<FMA>(shift[i] - top);
            // Before the first panel the shift is minus infinity, the sum 0.
            let before = if sum[i] == 0.0 { 0.0 } else { before };
            sum[i] = before + exponentials::<FMA>(row, 1.0, top);
            shift[i] = top;
            self.shifts[i] = top;
        }
    }
}

/// Replaces a panel's exponentials by `weight (softmax - onehot)`.
struct Normalize<'a> {
    panel: &'a mut [f32],
    from: usize,
    targets: &'a [u32],
    shifts: &'a [f32],
    /// Logarithms of the softmax's sums.
    sums: &'a [f32],
    /// Of the rows.
    weights: &'a [f32],
}

impl Op for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let columns = self.panel.len() / self.targets.len();
        let rows = self.panel.chunks_exact_mut(columns).zip(self.targets);
        let given = self.shifts.iter().zip(self.sums).zip(self.weights);
        for ((row, &target), ((shift, sum), weight)) in rows.zip(given) {
            let factor = weight * exp::<FMA>(shift - sum);
            for p in row.iter_mut() {
                *p *= factor;
            }
            let at = (target as usize).checked_sub(self.from);
            if let Some(p) = at.and_then(|t| row.get_mut(t)) {
                *p -= weight;
            }
        }
    }
}
