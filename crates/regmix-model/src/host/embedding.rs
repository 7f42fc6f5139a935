//! Token embedding, and a gradient that holds only the rows of tokens seen.
//!
//! A step sees a few thousand tokens, and a vocabulary has tens of thousands: a
//! dense gradient would be mostly zeros that are written, read and cleared in
//! every step.

/// Marks a token that has no row.
const NONE: u32 = u32::MAX;

/// Copies the embeddings of tokens, `[tokens, d]`.
pub(super) fn forward(ids: &[u32], embedding: &[f32], d: usize, x: &mut [f32]) {
    for (x, &id) in x.chunks_exact_mut(d).zip(ids) {
        x.copy_from_slice(row(embedding, id, d));
    }
}

/// Adds the gradients of tokens to a dense gradient, `[vocab, d]`.
pub(super) fn backward(ids: &[u32], dx: &[f32], d: usize, gradient: &mut [f32]) {
    for (dx, &id) in dx.chunks_exact(d).zip(ids) {
        add(&mut gradient[id as usize * d..][..d], dx);
    }
}

fn row(table: &[f32], id: u32, d: usize) -> &[f32] {
    &table[id as usize * d..][..d]
}

fn add(to: &mut [f32], from: &[f32]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from;
    }
}

/// The gradient of the embedding as rows, in the order in which their tokens
/// were first seen.
#[derive(Debug)]
pub(super) struct RowGradient {
    d: usize,
    /// Row of each token of the vocabulary, or [`NONE`].
    place: Vec<u32>,
    /// Tokens with a row.
    ids: Vec<u32>,
    rows: Vec<f32>,
    /// The gradient of tokens without a row.
    zeros: Vec<f32>,
}

impl RowGradient {
    pub(super) fn new(vocab: usize, d: usize) -> Self {
        Self {
            d,
            place: vec![NONE; vocab],
            ids: Vec::new(),
            rows: Vec::new(),
            zeros: vec![0.0; d],
        }
    }

    pub(super) fn add(&mut self, ids: &[u32], dx: &[f32]) {
        for (dx, &id) in dx.chunks_exact(self.d).zip(ids) {
            let place = &mut self.place[id as usize];
            if *place == NONE {
                *place = self.ids.len() as u32;
                self.ids.push(id);
                self.rows.extend_from_slice(dx);
            } else {
                add(&mut self.rows[*place as usize * self.d..][..self.d], dx);
            }
        }
    }

    /// All rows that are not zero, end to end.
    pub(super) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// The gradient of one token's embedding.
    pub(super) fn of(&self, id: usize) -> &[f32] {
        match self.place[id] {
            NONE => &self.zeros,
            place => row(&self.rows, place, self.d),
        }
    }

    pub(super) fn clear(&mut self) {
        for id in self.ids.drain(..) {
            self.place[id as usize] = NONE;
        }
        self.rows.clear();
    }
}
