//! A cache of words and their tokens.

const KEY: usize = 30;
const TOKENS: usize = 8;
const SLOTS: usize = 1 << 16;

/// One word in one cache line.
#[derive(Clone, Copy)]
struct Slot {
    key_len: u8,
    tokens_len: u8,
    key: [u8; KEY],
    tokens: [u32; TOKENS],
}

/// Direct-mapped: a word has one place, and a newer word with the same place
/// replaces it. Memory is fixed (4 MiB) for every text.
pub(super) struct WordCache(Vec<Slot>);

impl WordCache {
    pub(super) fn new() -> Self {
        let empty = Slot {
            key_len: 0,
            tokens_len: 0,
            key: [0; KEY],
            tokens: [0; TOKENS],
        };
        Self(vec![empty; SLOTS])
    }

    /// Appends the tokens of a word, computing them if they are not known.
    pub(super) fn append<E>(
        &mut self,
        word: &[u8],
        out: &mut Vec<u32>,
        compute: impl FnOnce(&mut Vec<u32>) -> Result<(), E>,
    ) -> Result<(), E> {
        if word.len() > KEY {
            return compute(out);
        }
        let slot = &mut self.0[place(word)];
        if slot.key_len as usize == word.len() && &slot.key[..word.len()] == word {
            out.extend_from_slice(&slot.tokens[..slot.tokens_len as usize]);
            return Ok(());
        }
        let from = out.len();
        compute(out)?;
        let tokens = &out[from..];
        if tokens.len() <= TOKENS {
            slot.key_len = word.len() as u8;
            slot.key[..word.len()].copy_from_slice(word);
            slot.tokens_len = tokens.len() as u8;
            slot.tokens[..tokens.len()].copy_from_slice(tokens);
        }
        Ok(())
    }
}

fn place(word: &[u8]) -> usize {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut hash = word.len() as u64;
    for chunk in word.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..chunk.len()].copy_from_slice(chunk);
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(bytes)).wrapping_mul(MULTIPLIER);
    }
    // The high bits of a product depend on all bits of its factors.
    (hash >> 48) as usize & (SLOTS - 1)
}
