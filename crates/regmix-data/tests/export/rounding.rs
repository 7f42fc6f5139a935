//! Units, caps and sums.

use proptest::prelude::*;
use regmix_data::exchange::{
    ExportOptions, ExportPlan, Mapping, RunFacts, SampleUnit, Source, Trainer, export,
};
use regmix_data::{DomainSet, Mixture};

use super::{exported, mapping, place, plan, stages};

/// The numbers after a word in a text.
fn numbers(text: &str, word: &str) -> Vec<f64> {
    (text.split(word).skip(1))
        .map(|rest| rest.split_whitespace().next().unwrap().parse().unwrap())
        .collect()
}

#[test]
fn shares_of_documents_follow_from_mean_lengths() {
    let trainer = Trainer::HfDatasets;
    let out = exported(&plan(), &mapping(place(trainer)), trainer).unwrap();
    assert_eq!(out.unit, SampleUnit::Documents);
    // Documents have 1000, 3000 and 20000 tokens.
    let units = [0.55 / 1000.0, 0.3 / 3000.0, 0.15 / 20_000.0];
    let sum: f64 = units.iter().sum();
    for (domain, unit) in out.domains.iter().zip(units) {
        assert!((domain.written - unit / sum).abs() < 1e-8, "{domain:?}");
        assert!((domain.implied - domain.weight).abs() < 1e-6, "{domain:?}");
    }
    let packed = Mapping {
        run: RunFacts {
            unit: Some(SampleUnit::Sequences),
            ..RunFacts::default()
        },
        ..mapping(place(trainer))
    };
    let out = exported(&plan(), &packed, trainer).unwrap();
    let written: Vec<f64> = out.domains.iter().map(|d| d.written).collect();
    assert_eq!(written, [0.55, 0.3, 0.15, 0.0]);
}

#[test]
fn an_epoch_of_mosaic_is_the_run_in_its_unit() {
    let trainer = Trainer::MosaicStreaming;
    let size = |mapping: &Mapping| {
        let out = exported(&plan(), mapping, trainer).unwrap();
        numbers(&out.files[0].text, "epoch_size:")
    };
    let mut mapping = mapping(place(trainer));
    assert_eq!(size(&mapping), [(12e9f64 / 4096.0).round()]);
    mapping.run.unit = Some(SampleUnit::Documents);
    let documents: f64 = 12e9 * (0.55 / 1000.0 + 0.3 / 3000.0 + 0.15 / 20_000.0);
    assert!((size(&mapping)[0] - documents).abs() < 10.0);
    mapping.run.unit = None;
    mapping.run.sequence_length = None;
    let out = exported(&plan(), &mapping, trainer).unwrap();
    assert!(
        out.notes[0].starts_with("no `epoch_size`"),
        "{:?}",
        out.notes
    );
}

#[test]
fn tokens_and_epochs_are_those_of_the_run() {
    let out = exported(&plan(), &mapping("/DOMAIN"), Trainer::Nanotron).unwrap();
    let epochs: Vec<f64> = out.domains.iter().map(|d| d.epochs.unwrap()).collect();
    let expected = [0.55 * 12.0 / 8.0, 0.3 * 12.0 / 3.0, 0.15 * 12.0, 0.0];
    for (epochs, expected) in epochs.iter().zip(expected) {
        assert!((epochs - expected).abs() < 1e-9);
    }
    // A schedule: law has 0.15 of the first 2048 steps and a third of the last 1904.
    let out = exported(&stages(), &mapping("/DOMAIN"), Trainer::Nanotron).unwrap();
    let law = (2048.0 * 0.15 + 1904.0 / 3.0) / 6000.0;
    assert!(
        (out.domains[2].implied - law).abs() < 1e-8,
        "{:?}",
        out.domains[2]
    );
}

#[test]
fn a_cap_holds_over_the_whole_schedule() {
    // Exactly as much as the schedule wants, and a little less.
    let wanted = (2048.0 * 0.3 + 2048.0 * 0.4 + 1904.0 / 3.0) / 6000.0 * 12e9;
    for (factor, allowed) in [(1.0, true), (1.0 - 1e-4, false)] {
        let mut mapping = mapping("/DOMAIN");
        let code = mapping.domains.get_mut("code").unwrap();
        code.tokens = Some(wanted * factor / 4.0);
        let out = exported(&stages(), &mapping, Trainer::Nanotron);
        match allowed {
            true => assert!(out.unwrap().domains[1].epochs.unwrap() <= 4.0),
            false => assert!(out.unwrap_err().problem().contains("`code` 4.0004 times")),
        }
    }
}

proptest! {
    /// What OLMo-core checks when it reads the file: ratios above 0 that sum to 1,
    /// and tokens of every source within its repetition.
    #[test]
    fn olmo_core_accepts_what_is_written(
        raw in prop::collection::vec((0.0f64..1.0, any::<bool>()), 1..30),
        capped in 0usize..30,
        tokens in 1e6f64..1e13,
    ) {
        let weights: Vec<f64> = raw.iter().map(|(w, zero)| if *zero { 0.0 } else { *w }).collect();
        prop_assume!(weights.iter().sum::<f64>() > 1e-3);
        let names: Vec<String> = (0..weights.len()).map(|i| format!("d{i}")).collect();
        let domains = DomainSet::from_names(&names).unwrap();
        let mixture = Mixture::normalized(domains, weights).unwrap();
        let mut mapping = Mapping {
            run: RunFacts { tokens: Some(tokens), max_epochs: Some(2.0), ..RunFacts::default() },
            ..Mapping::default()
        };
        for (i, (domain, w)) in mixture.iter().enumerate() {
            // One domain is exactly at its cap, the others are half as large as they may be.
            let room = if i == capped % names.len() { 2.0 } else { 1.0 };
            mapping.domains.insert(domain.to_string(), Source {
                path: Some(format!("/{domain}.npy")),
                tokens: (w > 0.0).then(|| tokens * w / room),
                ..Source::default()
            });
        }
        prop_assume!(mixture.weights().iter().filter(|w| **w > 0.0).count() > 1);
        let plan = ExportPlan::of_mixture(mixture.clone());
        let out = export(&plan, &mapping, Trainer::OlmoCore, &ExportOptions::default()).unwrap();
        let text = &out.files[0].text;
        let ratios = numbers(text, "target_ratio:");
        prop_assert!((ratios.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        prop_assert!(ratios.iter().all(|r| *r > 0.0));
        let drawn = mixture.iter().filter(|(_, w)| *w > 0.0);
        let repetition = numbers(text, "max_repetition_ratio:");
        for (((domain, _), ratio), repetition) in drawn.zip(&ratios).zip(repetition) {
            let population = mapping.domains[domain.as_str()].tokens.unwrap();
            prop_assert!(population * repetition >= tokens * ratio - 1e-3, "{domain} {text}");
        }
    }
}
