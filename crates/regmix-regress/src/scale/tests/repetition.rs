//! Runs that read a domain many times.

use super::*;

/// Tokens of the domains: the first is scarce.
const AVAILABLE: [f64; 3] = [4e8, 1e12, 1e12];

/// Epochs of the first domain help like a saturating exponential, and harm from the
/// second on: another form than the law's.
fn truth(target: usize, at: &Setting<'_>) -> f64 {
    let epochs: Vec<f64> = (at.weights.iter().zip(AVAILABLE))
        .map(|(w, unique)| w * at.tokens / unique)
        .collect();
    let [own, harm] = [[0.5, 0.004], [0.15, 0.008]][target];
    let benefit = own * (1.0 - (-epochs[0] / 5.0).exp());
    let repeats = (epochs[0] - 1.0).max(0.0);
    // Of the others more tokens help, too.
    let more = |j: usize| (1.0 + at.weights[j] * at.tokens / 1e8).ln();
    let others = 0.04 * more(1) + [0.02, 0.05][target] * more(2);
    let (n, d) = (at.parameters / 1e8, at.tokens / 1e10);
    let scale = 0.5 * n.powf(-0.3) + 0.6 * d.powf(-0.35) + 0.7;
    1.2 + (harm * repeats.powf(1.1) - benefit - others).exp() * scale
}

fn repeated(sizes: &[f64], lengths: &[f64]) -> ScaleRuns {
    let like = simulated(sizes, lengths, 0.0);
    let mut rng = stream(11, "scale", "repetition");
    let mut all = like.runs().to_vec();
    for run in &mut all {
        for point in &mut run.points {
            let at = Setting {
                weights: &run.weights,
                parameters: run.parameters,
                tokens: point.tokens,
            };
            let mut noise = || -> f64 { StandardNormal.sample(&mut rng) };
            point.values = (0..2)
                .map(|t| truth(t, &at) * (0.002 * noise()).exp())
                .collect();
        }
    }
    ScaleRuns::new(like.domains().clone(), like.targets().to_vec(), all).unwrap()
}

fn options(laws: Vec<LawName>) -> ScaleOptions {
    ScaleOptions {
        laws,
        available: AVAILABLE.to_vec(),
        ..ScaleOptions::default()
    }
}

fn at(weights: &[f64]) -> Setting<'_> {
    Setting {
        weights,
        parameters: 4e8,
        tokens: 3.2e10,
    }
}

/// The mean relative error at twice the size and length, and the weight of the
/// scarce domain in the best mixture of the first target.
fn judged(fit: &ScaleFit) -> (f64, f64) {
    let (mut error, mut n) = (0.0, 0.0);
    for weights in mixtures() {
        for t in 0..2 {
            error += (fit.predict(t, &at(&weights)).mean / truth(t, &at(&weights)) - 1.0).abs();
            n += 1.0;
        }
    }
    let best = |value: &dyn Fn(&[f64]) -> f64| {
        let grid = (0..=50).map(|i| f64::from(i) / 50.0);
        let weights = grid.map(|w| [w, 0.5 * (1.0 - w), 0.5 * (1.0 - w)]);
        weights
            .min_by(|a, b| value(a).total_cmp(&value(b)))
            .unwrap()[0]
    };
    (error / n, best(&|w| fit.predict(0, &at(w)).mean))
}

#[test]
fn benefit_and_harm_of_repetition_are_found() {
    let runs = repeated(&[5e7, 1e8, 2e8], &LENGTHS);
    // Up to 40 epochs were run, and 80 are asked for.
    let fit = |laws| judged(&ScaleFit::train(&runs, &options(laws)).unwrap());
    let alone = fit(vec![LawName::Repetition]);
    let usual = fit(vec![LawName::Additive, LawName::Multiplicative]);
    assert!(alone.0 < 0.7 * usual.0, "{alone:?} {usual:?}");
    // By the truth a weight of 0.1 is best.
    assert!(alone.1 < 0.3, "{alone:?} {usual:?}");
    // It is chosen where validation prefers it, and judged by default.
    let choice = options(vec![LawName::Additive, LawName::Repetition]);
    let chosen = ScaleFit::train(&runs, &choice).unwrap();
    let score = |law: &str| -> f64 {
        let of_law = chosen.judged().iter().filter(|j| j.law == law);
        of_law.map(|j| (j.error * (1.0 - j.spearman)).ln()).sum()
    };
    let (repetition, additive) = (score("repetition"), score("additive"));
    let prefers = repetition < additive - 1.0;
    let used = chosen.laws().contains(&LawName::Repetition);
    assert!(
        prefers && used,
        "{repetition} {additive} {:?}",
        chosen.laws()
    );
    let defaults = options(Vec::new()).laws_for(&runs);
    assert!(defaults.contains(&LawName::Repetition), "{defaults:?}");
}

#[test]
fn the_law_of_epochs_has_slopes_and_files() {
    let runs = repeated(&[1e8, 2e8], &LENGTHS);
    let fit = ScaleFit::train(&runs, &options(vec![LawName::Repetition])).unwrap();
    let weights = [0.2, 0.3, 0.5];
    let at = Setting {
        weights: &weights,
        parameters: 4e8,
        tokens: 3.2e10,
    };
    let law = &fit.target_laws(0)[0];
    for (j, slope) in law.gradient(&at).into_iter().enumerate() {
        let moved = |h: f64| {
            let mut w = weights;
            w[j] += h;
            law.predict(&Setting { weights: &w, ..at }).mean
        };
        let numeric = (moved(1e-6) - moved(-1e-6)) / 2e-6;
        assert!((numeric - slope).abs() < 1e-4 * (1.0 + slope.abs()), "{j}");
    }
    // Domains that never repeat show no harm.
    assert!(
        law.tied().iter().any(|name| name == "g[1]"),
        "{:?}",
        law.tied()
    );
    assert!(
        law.tied().iter().all(|name| name != "g[0]"),
        "{:?}",
        law.tied()
    );
    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    let read = ScaleFit::load(dir.path()).unwrap();
    assert_eq!(read.predict(0, &at), fit.predict(0, &at));
}

#[test]
fn the_law_of_epochs_takes_available_tokens() {
    let runs = repeated(&[1e8, 2e8], &LENGTHS);
    let without = ScaleOptions {
        laws: vec![LawName::Repetition],
        ..ScaleOptions::default()
    };
    assert_eq!(
        ScaleFit::train(&runs, &without).unwrap_err().to_string(),
        "`--laws`: `repetition` is a law of epochs, and the tokens that there are of every domain \
         are not known"
    );
    // Where nothing repeats it takes no part.
    let plenty = ScaleOptions {
        available: vec![1e12; 3],
        ..ScaleOptions::default()
    };
    assert!(!plenty.laws_for(&runs).contains(&LawName::Repetition));
    assert!(
        options(Vec::new())
            .laws_for(&runs)
            .contains(&LawName::Repetition)
    );
}
