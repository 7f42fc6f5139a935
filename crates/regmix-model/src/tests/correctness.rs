//! The model compared with a plain reference, and its gradient with finite
//! differences.

use std::collections::BTreeMap;

use rand_distr::Distribution;
use regmix_data::random;

use super::{tiny, trainer};
use crate::checkpoint;
use crate::config::ModelConfig;
use crate::engine::{Engine, Parts};
use crate::graph::Graph;
use crate::host::Host;
use crate::optimizer::AdamWConfig;
use crate::parameters;
use crate::precision::Precision;
use crate::trainer::Trainer;

type Matrix = Vec<Vec<f64>>;

/// `x W^T` for a weight stored `[out, in]`.
fn apply(x: &Matrix, weight: &Matrix) -> Matrix {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum();
    (x.iter())
        .map(|row| weight.iter().map(|w| dot(row, w)).collect())
        .collect()
}

fn norm(x: &Matrix, weight: &Matrix, eps: f64) -> Matrix {
    x.iter()
        .map(|row| {
            let mean = row.iter().map(|v| v * v).sum::<f64>() / row.len() as f64;
            let scale = 1.0 / (mean + eps).sqrt();
            (row.iter().zip(&weight[0]))
                .map(|(v, w)| v * scale * w)
                .collect()
        })
        .collect()
}

fn add(a: &Matrix, b: &Matrix) -> Matrix {
    (a.iter().zip(b))
        .map(|(x, y)| x.iter().zip(y).map(|(p, q)| p + q).collect())
        .collect()
}

/// The forward pass as in the equations, one number at a time.
fn reference(c: &ModelConfig, weights: &BTreeMap<String, Matrix>, ids: &[u32]) -> Matrix {
    let get = |name: String| &weights[&name];
    let embedding = get("model.embed_tokens.weight".into());
    let eps = f64::from(c.norm_eps);
    let dim = c.head_dim();
    let mut x: Matrix = ids
        .iter()
        .map(|&id| embedding[id as usize].clone())
        .collect();
    for layer in 0..c.layers {
        let weight = |name: &str| get(format!("model.layers.{layer}.{name}.weight"));
        let h = norm(&x, weight("input_layernorm"), eps);
        let rotate = |m: Matrix| -> Matrix {
            m.into_iter()
                .enumerate()
                .map(|(t, row)| {
                    let mut out = row.clone();
                    for head in row.chunks(dim).enumerate() {
                        for i in 0..dim / 2 {
                            let angle = t as f64
                                * f64::from(c.rope_base).powf(-(2.0 * i as f64) / dim as f64);
                            let (a, b) = (head.1[i], head.1[i + dim / 2]);
                            out[head.0 * dim + i] = a * angle.cos() - b * angle.sin();
                            out[head.0 * dim + i + dim / 2] = b * angle.cos() + a * angle.sin();
                        }
                    }
                    out
                })
                .collect()
        };
        let q = rotate(apply(&h, weight("self_attn.q_proj")));
        let k = rotate(apply(&h, weight("self_attn.k_proj")));
        let v = apply(&h, weight("self_attn.v_proj"));
        let mut mixed: Matrix = vec![vec![0.0; c.d_model]; ids.len()];
        for head in 0..c.heads {
            let group = head / (c.heads / c.kv_heads);
            for t in 0..ids.len() {
                let query = &q[t][head * dim..][..dim];
                let scores: Vec<f64> = (0..=t)
                    .map(|s| {
                        let key = &k[s][group * dim..][..dim];
                        let dot: f64 = query.iter().zip(key).map(|(a, b)| a * b).sum();
                        (dot / (dim as f64).sqrt()).exp()
                    })
                    .collect();
                let total: f64 = scores.iter().sum();
                for (s, score) in scores.iter().enumerate() {
                    for i in 0..dim {
                        mixed[t][head * dim + i] += score / total * v[s][group * dim + i];
                    }
                }
            }
        }
        x = add(&x, &apply(&mixed, weight("self_attn.o_proj")));
        let h = norm(&x, weight("post_attention_layernorm"), eps);
        let gate = apply(&h, weight("mlp.gate_proj"));
        let up = apply(&h, weight("mlp.up_proj"));
        let inner: Matrix = (gate.iter().zip(&up))
            .map(|(g, u)| {
                (g.iter().zip(u))
                    .map(|(g, u)| g / (1.0 + (-g).exp()) * u)
                    .collect()
            })
            .collect();
        x = add(&x, &apply(&inner, weight("mlp.down_proj")));
    }
    let x = norm(&x, get("model.norm.weight".into()), eps);
    apply(&x, weights.get("lm_head.weight").unwrap_or(embedding))
}

/// The weights as in the exported file.
fn exported(config: &ModelConfig, trainer: &mut Trainer) -> BTreeMap<String, Matrix> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.safetensors");
    checkpoint::save_weights(
        &path,
        &parameters::list(config),
        &trainer.state().unwrap().weights,
    )
    .unwrap();
    let bytes = std::fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| {
            let values: Vec<f64> = (view.data().chunks_exact(4))
                .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .collect();
            let width = *view.shape().last().unwrap();
            (
                name.to_owned(),
                values.chunks(width).map(<[f64]>::to_vec).collect(),
            )
        })
        .collect()
}

#[test]
fn forward_pass_matches_the_equations() {
    for tied in [false, true] {
        let config = ModelConfig { tied, ..tiny() };
        let mut trainer = trainer(&config, 3);
        // Norm weights are initially 1, which hides mistakes: train a little.
        let batch: Vec<u32> = (0..21).map(|i| (i * 5 + 1) % 13).collect();
        for _ in 0..3 {
            trainer.step(&batch, 3, 1e-2).unwrap();
        }
        let ids = [1, 7, 12, 0, 7, 3];
        let want = reference(&config, &exported(&config, &mut trainer), &ids);
        let got = trainer.logits(&ids).unwrap();
        for (t, (w, g)) in want.iter().zip(&got).enumerate() {
            for (i, (w, g)) in w.iter().zip(g).enumerate() {
                let g = f64::from(*g);
                assert!(
                    (w - g).abs() < 2e-5 * (1.0 + w.abs()),
                    "tied {tied} [{t}][{i}]: {w} {g}"
                );
            }
        }
        // Causal: a prefix has the same logits.
        let prefix = trainer.logits(&ids[..3]).unwrap();
        for (a, b) in prefix.iter().flatten().zip(got.iter().flatten()) {
            assert!((a - b).abs() < 1e-5);
        }
    }
}

/// Both engines from the same weights.
pub(super) fn engines(config: &ModelConfig, seed: u64) -> (Host, Graph) {
    engines_in(Precision::F32, config, seed)
}

fn engines_in(precision: Precision, config: &ModelConfig, seed: u64) -> (Host, Graph) {
    let values = parameters::init(config, &mut random::stream(seed, "test", "init")).unwrap();
    (
        Host::new(config, values.clone(), precision),
        Graph::new(config, values, precision, &burn::tensor::Device::flex()),
    )
}

/// Shapes with edge cases for each part: incomplete blocks of attention, rows
/// shorter than a vector, one group and many.
pub(super) fn shapes() -> Vec<ModelConfig> {
    let odd = ModelConfig {
        vocab_size: 77,
        layers: 1,
        d_model: 36,
        heads: 3,
        kv_heads: 1,
        d_ff: 50,
        context: 70,
        ..tiny()
    };
    let tied = ModelConfig {
        tied: true,
        ..tiny()
    };
    let many_chunks = ModelConfig {
        vocab_size: 40_000,
        layers: 1,
        context: 40,
        ..tiny()
    };
    let one_head = ModelConfig {
        vocab_size: 257,
        d_model: 18,
        heads: 1,
        kv_heads: 1,
        context: 130,
        ..tiny()
    };
    vec![tiny(), tied, odd, many_chunks, one_head]
}

pub(super) fn tokens(config: &ModelConfig, sequences: usize) -> Vec<u32> {
    let mut rng = random::stream(3, "test", "tokens");
    let ids = rand_distr::Uniform::new(0, config.vocab_size as u32).unwrap();
    (0..sequences * (config.context + 1))
        .map(|_| ids.sample(&mut rng))
        .collect()
}

/// Greatest difference, relative to the greatest number.
pub(super) fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let size = b.iter().fold(1e-6, |m: f32, x| m.max(x.abs()));
    let gap = a
        .iter()
        .zip(b)
        .fold(0.0, |m: f32, (x, y)| m.max((x - y).abs()));
    gap / size
}

#[test]
fn both_engines_have_the_same_losses_logits_and_gradients() {
    for config in shapes() {
        let (mut host, mut graph) = engines(&config, 5);
        let batch = tokens(&config, 5);
        let (first, second) = batch.split_at(3 * (config.context + 1));
        for (a, b) in host.losses(&batch).iter().zip(graph.losses(&batch)) {
            assert!((a - b).abs() < 1e-5, "{a} {b} {config:?}");
        }
        let prompt = &batch[..config.context - 1];
        let logits = (host.logits(prompt), graph.logits(prompt));
        assert!(difference(&logits.0, &logits.1) < 1e-5);
        // Two parts: the second adds to the first.
        for (part, share) in [(first, 0.6), (second, 0.4)] {
            let (a, b) = (host.accumulate(part, share), graph.accumulate(part, share));
            assert!((a - b).abs() < 1e-5, "{a} {b} {config:?}");
        }
        let names = parameters::list(&config);
        let gradients = host.gradients().into_iter().zip(graph.gradients());
        for ((a, b), parameter) in gradients.zip(&names) {
            let gap = difference(&a, &b);
            assert!(gap < 1e-4, "{}: {gap} {config:?}", parameter.name);
        }
    }
}

/// Both round the operands of the same products; burn's also round the results, and
/// the attention output that the backward pass reads.
#[test]
fn both_engines_have_the_same_gradients_in_bf16() {
    for config in shapes() {
        let (mut host, mut graph) = engines_in(Precision::Bf16, &config, 5);
        let (mut exact, _) = engines(&config, 5);
        let batch = tokens(&config, 5);
        let (a, b) = (host.accumulate(&batch, 1.0), graph.accumulate(&batch, 1.0));
        let c = exact.accumulate(&batch, 1.0);
        assert!((a - b).abs() < 2e-3, "{a} {b} {config:?}");
        assert!((a - c).abs() < 5e-3 && a != c, "{a} {c} {config:?}");
        let names = parameters::list(&config);
        let gradients = host.gradients().into_iter().zip(graph.gradients());
        for ((a, b), parameter) in gradients.zip(&names) {
            let gap = difference(&a, &b);
            assert!(gap < 5e-2, "{}: {gap} {config:?}", parameter.name);
        }
    }
}

#[test]
fn both_engines_train_alike() {
    for config in shapes() {
        let (mut host, mut graph) = engines(&config, 7);
        let adamw = AdamWConfig::default();
        for step in 0..8 {
            let batch = tokens(&config, 4 + step % 2);
            let (a, b) = (host.accumulate(&batch, 1.0), graph.accumulate(&batch, 1.0));
            assert!((a - b).abs() < 1e-4, "step {step}: {a} {b} {config:?}");
            let norms = (host.update(&adamw, 3e-3), graph.update(&adamw, 3e-3));
            assert!((norms.0 / norms.1 - 1.0).abs() < 1e-3, "{norms:?}");
        }
        // Both engines can resume from the same state.
        graph.restore(host.state().into_owned());
        let batch = tokens(&config, 2);
        let losses = (host.losses(&batch), graph.losses(&batch));
        assert!((losses.0[1] - losses.1[1]).abs() < 1e-5, "{losses:?}");
        assert_eq!(graph.state(), host.state());
    }
}

#[test]
fn gradient_matches_finite_differences_in_every_parameter() {
    for tied in [false, true] {
        let config = ModelConfig { tied, ..tiny() };
        let values = parameters::init(&config, &mut random::stream(5, "test", "init")).unwrap();
        let batch: Vec<u32> = (0..28).map(|i| (i * i + 3) % 13).collect();
        let loss = |values: &[Vec<f32>]| {
            let losses = Host::new(&config, values.to_vec(), Precision::F32).losses(&batch);
            losses.iter().sum::<f64>() / losses.len() as f64
        };
        let mut host = Host::new(&config, values.clone(), Precision::F32);
        host.accumulate(&batch, 1.0);
        let names = parameters::list(&config);
        for (p, gradient) in host.gradients().iter().enumerate() {
            // The largest entry is clearly above the noise of f32.
            let at = (0..gradient.len())
                .max_by(|&a, &b| gradient[a].abs().total_cmp(&gradient[b].abs()))
                .unwrap();
            let h = 1e-2;
            let shifted = |delta: f32| {
                let mut values = values.clone();
                values[p][at] += delta;
                loss(&values)
            };
            let numeric = (shifted(h) - shifted(-h)) / (2.0 * f64::from(h));
            let analytic = f64::from(gradient[at]);
            assert!(
                (numeric - analytic).abs() < 2e-2 * analytic.abs() + 2e-5,
                "{}: {numeric} by differences, {analytic} by backward (tied {tied})",
                names[p].name
            );
        }
    }
}

/// The predicted memory is what a run takes.
#[test]
fn memory_is_predicted() {
    for config in shapes() {
        let (mut host, _) = engines(&config, 1);
        host.accumulate(&tokens(&config, 4), 1.0);
        host.update(&AdamWConfig::default(), 1e-3);
        host.accumulate(&tokens(&config, 4), 1.0);
        let held = host.held() as f64;
        let predicted = crate::host::numbers_held(&config, 4) as f64;
        // Scratch of attention and output layer, and the table of places.
        let rows = 4 * config.context;
        let scratch = rows * (config.vocab_size + 64) + 200 * config.context + config.vocab_size;
        assert!(
            held <= predicted && predicted <= held + scratch as f64,
            "{held} {predicted} {config:?}"
        );
    }
}

/// NaN must show, and not be lost in a maximum or a clamp.
#[test]
fn a_weight_that_is_not_a_number_shows_in_loss_and_norm() {
    let config = tiny();
    for p in 0..parameters::list(&config).len() {
        let (mut host, _) = engines(&config, 1);
        let mut state = host.state().into_owned();
        state.weights[p].fill(f32::NAN);
        host.restore(state.clone());
        let loss = host.accumulate(&tokens(&config, 2), 1.0);
        let norm = host.update(&AdamWConfig::default(), 1e-3);
        assert!(!loss.is_finite() && !norm.is_finite(), "{p}: {loss} {norm}");
        assert!(host.state().moments.is_empty());
    }
}

#[test]
fn a_new_model_predicts_at_chance() {
    // Logits start with variance 0.4, which adds 0.2 nats to ln(vocab).
    let config = ModelConfig {
        vocab_size: 50_432,
        layers: 1,
        ..tiny()
    };
    let mut trainer = trainer(&config, 1);
    let batch: Vec<u32> = (0..70_u32)
        .map(|i| i.wrapping_mul(2_654_435_761) % 50_432)
        .collect();
    let losses = trainer.evaluate(&batch, 4).unwrap();
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    let want = 50_432_f64.ln();
    assert!(
        (mean / want - 1.0).abs() < 0.02,
        "{mean} against ln(vocab) {want}"
    );
}

#[test]
fn it_overfits_one_batch() {
    let config = ModelConfig {
        d_model: 32,
        d_ff: 48,
        vocab_size: 31,
        ..tiny()
    };
    let mut trainer = trainer(&config, 2);
    // First tokens differ, so every continuation can be learnt.
    let batch: Vec<u32> = (0..28_u32)
        .map(|i| {
            if i % 7 == 0 {
                i / 7
            } else {
                (i * i * 3 + i) % 31
            }
        })
        .collect();
    let mut loss = f64::INFINITY;
    for _ in 0..300 {
        loss = trainer.step(&batch, 4, 1e-2).unwrap().loss;
    }
    assert!(loss < 0.05, "{loss}");
}

#[test]
fn micro_batches_change_nothing_but_rounding() {
    let batch: Vec<u32> = (0..35).map(|i| (i * 11 + 2) % 13).collect();
    let mut whole = trainer(&tiny(), 9);
    let mut parts = trainer(&tiny(), 9);
    for _ in 0..3 {
        let a = whole.step(&batch, 5, 1e-3).unwrap();
        // Uneven: 2 + 2 + 1 sequences.
        let b = parts.step(&batch, 2, 1e-3).unwrap();
        assert!((a.loss - b.loss).abs() < 1e-5, "{a:?} {b:?}");
        assert!(
            (a.gradient_norm / b.gradient_norm - 1.0).abs() < 1e-4,
            "{a:?} {b:?}"
        );
    }
}

/// One step by hand: AdamW's first update is `lr * sign(g)` per weight plus
/// decay, for any size of the gradient, unless eps matters.
#[test]
fn first_update_is_bounded_by_the_learning_rate() {
    let config = tiny();
    let mut trainer = trainer(&config, 4);
    let before = exported(&config, &mut trainer);
    let batch: Vec<u32> = (0..28).map(|i| (i * 3) % 13).collect();
    trainer.step(&batch, 4, 1e-3).unwrap();
    let after = exported(&config, &mut trainer);
    let mut moved = 0;
    for (name, old) in &before {
        for (old, new) in old.iter().flatten().zip(after[name].iter().flatten()) {
            let decayed = old * (1.0 - 1e-3 * 0.1);
            let step = (new - decayed).abs();
            assert!(step < 1.001e-3 + 1e-7, "{name}: {step}");
            moved += usize::from((step - 1e-3).abs() < 2e-5);
        }
    }
    assert!(
        moved > 1000,
        "only {moved} weights moved by the learning rate"
    );
}

#[test]
fn bad_batches_are_refused() {
    let mut trainer = trainer(&tiny(), 1);
    assert!(trainer.step(&[1, 2, 3], 1, 1e-3).unwrap_err().is_input());
    let err = trainer.step(&[], 1, 1e-3).unwrap_err();
    assert!(err.to_string().contains("0 tokens: expected"), "{err}");
    let err = trainer.step(&[0, 1, 2, 3, 4, 5, 13], 1, 1e-3).unwrap_err();
    assert!(err.to_string().contains("token 13"), "{err}");
}
