//! DoReMi: a mixture from one proxy that is trained by group distributionally
//! robust optimisation (Xie et al., arXiv 2305.10429).
//!
//! 1. A reference model is trained on reference weights, usually the natural
//!    mixture, with [`TrainConfig::keep_weights`](crate::TrainConfig::keep_weights).
//! 2. A proxy of the same size is trained on batches drawn from another mixture,
//!    usually the uniform one. At every step the domains on which it is furthest
//!    behind the reference gain weight in its loss ([`GroupDro`]).
//! 3. The mixture is the mean of these weights over all steps
//!    ([`DoremiResult`]).
//!
//! The proxy is an ordinary run with [`Doremi`] as its
//! [`Job::weigh`](crate::Job::weigh): it resumes, shares folders with other workers
//! and reports losses as any other. The losses of the reference on the proxy's
//! text are computed before its first step and kept in its folder
//! (`reference.f32`, 4 bytes per token); a step then takes one forward pass more
//! than that of a plain run. `doremi.jsonl` has the weights of every step.
//!
//! Known deviations from the paper, which are those of its published code: a
//! domain that a batch lacks keeps its last excess loss ([`Absent::Keeps`]; the
//! paper does not say), and a token counts in the proxy's loss by the weight of
//! its domain over the share with which it is drawn, relative to all tokens of
//! the batch.

mod group_dro;
mod record;
mod reference;
mod weighing;

pub use group_dro::{Absent, DoremiOptions, GroupDro};
pub use record::DoremiResult;
pub use weighing::Doremi;
