//! The gradient of the token embedding.
//!
//! burn adds rows to chosen places one after the other, on a GPU too. The program
//! knows the tokens, so it can say beforehand which rows are to be added up: a kernel
//! adds up the rows of every token. Without one, tokens that occur 1, 2, up to 4, up to
//! 8, ... times form classes; the rows of a class are gathered, filled up with zeros to
//! the same number for every token, and added up all at once. The order of the sums is
//! fixed.

use burn::tensor::{Device as BurnDevice, Int, Tensor, TensorData};

use super::arguments::Groups;
use super::joined;
use super::kernels::Kernels;

/// Rows of one token that a workgroup adds up.
const PIECE: usize = 32;

/// Numbers of rows, by token; those of a token in their order.
fn by_token(ids: &[u32], vocab: usize) -> Vec<u32> {
    // Where the next row of every token goes.
    let mut next = vec![0; vocab + 1];
    for &id in ids {
        next[id as usize + 1] += 1;
    }
    for token in 0..vocab {
        next[token + 1] += next[token];
    }
    let mut order = vec![0; ids.len()];
    for (row, &id) in (0..).zip(ids) {
        order[next[id as usize]] = row;
        next[id as usize] += 1;
    }
    order
}

/// The plan of a kernel that adds up rows, and its sizes.
fn groups(ids: &[u32], vocab: usize) -> (Vec<i32>, Groups) {
    let order = by_token(ids, vocab);
    let mut plan: Vec<i32> = order.iter().map(|&row| row as i32).collect();
    let mut starts = vec![0];
    let mut firsts = Vec::with_capacity(vocab + 1);
    for rows in order.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]) {
        let token = ids[rows[0] as usize] as usize;
        firsts.resize(token + 1, starts.len() as i32 - 1);
        for piece in rows.chunks(PIECE) {
            starts.push(starts[starts.len() - 1] + piece.len() as i32);
        }
    }
    let pieces = starts.len() - 1;
    firsts.resize(vocab + 1, pieces as i32);
    plan.append(&mut starts);
    plan.append(&mut firsts);
    let groups = Groups {
        rows: ids.len(),
        pieces,
        tokens: vocab,
    };
    (plan, groups)
}

/// Which rows are added up for which token.
#[derive(Debug, PartialEq, Eq)]
struct Plan {
    /// Rows per token, and the rows of every token of a class; `rows`, one past
    /// the last row, stands for zeros.
    classes: Vec<(usize, Vec<i32>)>,
    /// The place of every token of the vocabulary among the sums, the last of
    /// which is zero.
    places: Vec<i32>,
}

impl Plan {
    fn new(ids: &[u32], vocab: usize) -> Self {
        let order = by_token(ids, vocab);
        let zeros = ids.len() as i32;
        let mut classes: Vec<(usize, Vec<i32>)> = Vec::new();
        // A token's class, and its number in the class.
        let mut seen: Vec<(u32, usize, usize)> = Vec::new();
        for rows in order.chunk_by(|&a, &b| ids[a as usize] == ids[b as usize]) {
            let class = rows.len().next_power_of_two().trailing_zeros() as usize;
            while classes.len() <= class {
                classes.push((1 << classes.len(), Vec::new()));
            }
            let (width, all) = &mut classes[class];
            seen.push((ids[rows[0] as usize], class, all.len() / *width));
            all.extend(rows.iter().map(|&row| row as i32));
            all.resize(all.len().next_multiple_of(*width), zeros);
        }
        let mut firsts = Vec::new();
        let mut sums = 0;
        for (width, rows) in &classes {
            firsts.push(sums);
            sums += rows.len() / width;
        }
        let mut places = vec![sums as i32; vocab];
        for (id, class, number) in seen {
            places[id as usize] = (firsts[class] + number) as i32;
        }
        classes.retain(|(_, rows)| !rows.is_empty());
        Self { classes, places }
    }
}

/// The gradient, `[vocab, d]`, given that of the embeddings of tokens, `[tokens, d]`.
pub(super) fn backward(ids: &[u32], dx: Tensor<2>, vocab: usize) -> Tensor<2> {
    let [_, d] = dx.dims();
    let device = dx.device();
    if let Some(kernels) = Kernels::of(&device) {
        let (plan, groups) = groups(ids, vocab);
        return kernels.sum_by_token(dx, indices(plan, &device), groups);
    }
    let plan = Plan::new(ids, vocab);
    let zeros = Tensor::zeros([1, d], &device);
    let dx = joined::cat(vec![dx, zeros.clone()], 0);
    let sums = plan.classes.into_iter().map(|(width, rows)| {
        let tokens = rows.len() / width;
        let gathered = dx.clone().select(0, indices(rows, &device));
        let gathered = gathered.reshape([tokens, width, d]);
        gathered.sum_dim(1).reshape([tokens, d])
    });
    let sums = joined::cat(sums.chain([zeros]).collect(), 0);
    sums.select(0, indices(plan.places, &device))
}

/// Numbers of rows as a tensor.
pub(super) fn indices(rows: Vec<i32>, device: &BurnDevice) -> Tensor<1, Int> {
    let count = rows.len();
    Tensor::from_data(TensorData::new(rows, [count]), device)
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, Uniform};
    use regmix_data::random;

    use super::*;

    #[test]
    fn tokens_are_put_into_classes_by_how_often_they_occur() {
        let plan = Plan::new(&[4, 1, 4, 2, 4, 2], 6);
        let classes = vec![(1, vec![1]), (2, vec![3, 5]), (4, vec![0, 2, 4, 6])];
        let places = vec![3, 0, 1, 3, 2, 3];
        assert_eq!(plan, Plan { classes, places });
    }

    #[test]
    fn rows_of_a_token_are_added_up_in_pieces() {
        let (plan, sizes) = groups(&[4, 1, 4, 2, 4, 2], 6);
        let (rows, pieces, tokens) = (6, 3, 6);
        let expected = Groups {
            rows,
            pieces,
            tokens,
        };
        assert_eq!(sizes, expected);
        // Rows by token, the beginnings of pieces, and every token's first piece.
        let numbers = [
            vec![1, 3, 5, 0, 2, 4],
            vec![0, 1, 3, 6],
            vec![0, 0, 1, 2, 2, 3, 3],
        ];
        assert_eq!(plan, numbers.concat());
        let (plan, sizes) = groups(&[0; 2 * PIECE + 1], 1);
        assert_eq!(sizes.pieces, 3);
        let starts = &plan[2 * PIECE + 1..];
        assert_eq!(starts, [0, 32, 64, 65, 0, 3]);
    }

    #[test]
    fn rows_of_the_same_token_are_added_up() {
        let mut rng = random::stream(1, "test", "ids");
        let some_ids = Uniform::new(0, 9).unwrap();
        for rows in (1..40).chain([500]) {
            let ids: Vec<u32> = (0..rows).map(|_| some_ids.sample(&mut rng)).collect();
            let d = 3;
            let dx: Vec<f32> = (0..rows * d).map(|i| (i % 17) as f32 - 8.0).collect();
            let mut want = vec![0.0; 9 * d];
            for (row, &id) in dx.chunks(d).zip(&ids) {
                for (want, x) in want[id as usize * d..].iter_mut().zip(row) {
                    *want += x;
                }
            }
            let data = TensorData::new(dx, [rows, d]);
            let dx = Tensor::from_data(data, &BurnDevice::flex());
            let found: Vec<f32> = backward(&ids, dx, 9).into_data().iter().collect();
            assert_eq!(found, want);
        }
    }
}
