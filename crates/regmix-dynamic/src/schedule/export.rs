//! Schedules in the formats of other trainers.
//!
//! | format | unit of weights | what is written |
//! |---|---|---|
//! | [`Trainer::Levanter`] | sequences | `data.train_weights`, a list of `[step, weights]` |
//! | [`Trainer::Nanotron`] | samples | `data_stages`, steps counted from 1 |
//! | [`Trainer::Megatron`] | sequences | `--phase-transition-iterations`, and the blend of every phase |
//! | [`Trainer::OlmoCore`] | tokens | a `SourceMixtureList` per stage, without empty sources |
//!
//! Weights of regmix are shares of tokens. In trainers that pack documents
//! into sequences of one length, as all of these do, shares of sequences are
//! the same.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use regmix_data::{Error, Result};

use super::Schedule;

/// A trainer that can change its mixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trainer {
    /// Levanter, and Marin.
    Levanter,
    /// nanotron.
    Nanotron,
    /// Megatron-LM.
    Megatron,
    /// OLMo-core.
    OlmoCore,
}

impl Trainer {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Levanter,
        Self::Nanotron,
        Self::Megatron,
        Self::OlmoCore,
    ];

    /// The name in commands and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Levanter => "levanter",
            Self::Nanotron => "nanotron",
            Self::Megatron => "megatron",
            Self::OlmoCore => "olmo_core",
        }
    }

    /// The trainer of a name.
    ///
    /// # Errors
    /// When the name is unknown; the error lists the known ones.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|t| t.name() == name)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.map(Self::name).to_vec();
                Error::input(format!(
                    "unknown trainer `{name}`: expected one of {}",
                    known.join(", ")
                ))
            })
    }
}

/// How a schedule is written for a trainer.
///
/// | field | default | range |
/// |---|---|---|
/// | `path` | `data/{domain}` | a path with `{domain}` in it |
/// | `align` | 1 | steps that switches are rounded to; Levanter wants its block of 2048 sequences by the batch |
/// | `ramp_parts` | 4 | hard switches that replace a ramp |
#[derive(Debug, Clone, PartialEq)]
pub struct ExportOptions {
    /// Where a domain's data is, `{domain}` standing for its name.
    pub path: String,
    /// Steps that switches are rounded to.
    pub align: u64,
    /// Switches per ramp.
    pub ramp_parts: u64,
}

impl Default for ExportOptions {
    fn default() -> Self {
        Self {
            path: "data/{domain}".to_owned(),
            align: 1,
            ramp_parts: 4,
        }
    }
}

/// One segment of an export: steps, tokens, and per domain millionths that sum
/// to a million.
struct ExportedSegment {
    from: u64,
    to: u64,
    tokens: u64,
    parts: Vec<u64>,
}

impl Schedule {
    /// The schedule as text for a trainer. Weights have six decimals and sum
    /// to 1 after rounding.
    ///
    /// ```
    /// use regmix_data::{DomainSet, Mixture};
    /// use regmix_dynamic::{ExportOptions, RunLength, Schedule, StageGrid, Trainer};
    /// use regmix_regress::Objective;
    ///
    /// let domains = DomainSet::from_names(["web", "code"])?;
    /// let mixtures = vec![
    ///     Mixture::new(domains.clone(), vec![0.7, 0.3])?,
    ///     Mixture::new(domains, vec![1.0, 0.0])?,
    /// ];
    /// # let two = mixtures;
    /// # let mixtures = vec![two[0].clone(), two[0].clone(), two[1].clone()];
    /// let target = RunLength { steps: 3000, tokens: 3_000_000 };
    /// let schedule = Schedule::of_mixtures(&StageGrid::equal(2)?, mixtures, Objective::Mean, target)?;
    /// let text = schedule.export(Trainer::Levanter, &ExportOptions::default())?;
    /// assert!(text.contains("    - [2000, {web: 1.000000, code: 0.000000}]\n"));
    /// # Ok::<(), regmix_data::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the path has no `{domain}`, or switches fall together once they
    /// are rounded.
    pub fn export(&self, trainer: Trainer, options: &ExportOptions) -> Result<String> {
        if !options.path.contains("{domain}") {
            return Err(Error::input(format!(
                "`{}` has no `{{domain}}`: expected one, so that domains have data of their own",
                options.path
            ))
            .field("path"));
        }
        let segments = self.segments(options)?;
        let names: Vec<&str> = self.mean.domains().names().collect();
        let paths: Vec<String> = (names.iter())
            .map(|n| options.path.replace("{domain}", n))
            .collect();
        Ok(match trainer {
            Trainer::Levanter => levanter(&segments, &names, &paths),
            Trainer::Nanotron => nanotron(&segments, &paths),
            Trainer::Megatron => megatron(&segments, &paths),
            Trainer::OlmoCore => olmo_core(&segments, &names, &paths),
        })
    }

    fn segments(&self, options: &ExportOptions) -> Result<Vec<ExportedSegment>> {
        let align = options.align.max(1);
        let round = |step: u64| (step + align / 2) / align * align;
        let switches = self.switches(options.ramp_parts);
        let mut segments = Vec::with_capacity(switches.len());
        for (i, (step, weights)) in switches.iter().enumerate() {
            let from = round(*step);
            let to = (switches.get(i + 1)).map_or(self.target.steps, |next| round(next.0));
            if from >= to {
                return Err(Error::input(format!(
                    "two switches fall on step {from} when rounded to {align} steps"
                ))
                .field("align")
                .help("plan fewer stages, a shorter ramp, or round to fewer steps"));
            }
            let share = (to - from) as f64 / self.target.steps as f64;
            segments.push(ExportedSegment {
                from,
                to,
                tokens: (share * self.target.tokens as f64).round() as u64,
                parts: millionths(weights),
            });
        }
        Ok(segments)
    }
}

/// Weights in millionths that sum to a million: rounded down, and the largest
/// remainders up.
fn millionths(weights: &[f64]) -> Vec<u64> {
    let sum: f64 = weights.iter().sum();
    let exact: Vec<f64> = weights.iter().map(|w| 1e6 * w / sum).collect();
    let mut parts: Vec<u64> = exact.iter().map(|w| *w as u64).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()));
    let left = 1_000_000u64.saturating_sub(parts.iter().sum());
    for place in order.into_iter().take(left as usize) {
        parts[place] += 1;
    }
    parts
}

fn decimal(part: u64) -> String {
    format!("{}.{:06}", part / 1_000_000, part % 1_000_000)
}

/// Joined by commas.
fn list(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(", ")
}

fn levanter(segments: &[ExportedSegment], names: &[&str], paths: &[String]) -> String {
    let mut out = String::from("data:\n  configs:\n");
    for (name, path) in names.iter().zip(paths) {
        let _ = writeln!(out, "    {name}: {{train_urls: [\"{path}\"]}}");
    }
    out.push_str("  train_weights:\n");
    for segment in segments {
        let weights = names.iter().zip(&segment.parts);
        let weights = list(weights.map(|(n, p)| format!("{n}: {}", decimal(*p))));
        let _ = writeln!(out, "    - [{}, {{{weights}}}]", segment.from);
    }
    out
}

fn nanotron(segments: &[ExportedSegment], paths: &[String]) -> String {
    let mut out = String::from("data_stages:\n");
    for (i, segment) in segments.iter().enumerate() {
        let folders = list(paths.iter().map(|p| format!("\"{p}\"")));
        let weights = list(segment.parts.iter().map(|p| decimal(*p)));
        let _ = write!(
            out,
            "  - name: stage {i}\n    start_training_step: {}\n    data:\n      dataset:\n        \
             dataset_folder: [{folders}]\n        dataset_weights: [{weights}]\n      \
             num_loading_workers: 1\n      seed: 42\n",
            segment.from + 1
        );
    }
    out
}

fn megatron(segments: &[ExportedSegment], paths: &[String]) -> String {
    let starts: Vec<String> = segments
        .iter()
        .skip(1)
        .map(|p| p.from.to_string())
        .collect();
    let mut out = String::from(
        "# Training stops at every transition: start it again with the blend of the next segment.\n",
    );
    if !starts.is_empty() {
        let _ = writeln!(out, "--phase-transition-iterations {}", starts.join(","));
    }
    for (i, segment) in segments.iter().enumerate() {
        let _ = writeln!(
            out,
            "# phase {i}: iterations {} to {}",
            segment.from, segment.to
        );
        let blend = (segment.parts.iter().zip(paths)).filter(|(p, _)| **p > 0);
        let blend: Vec<String> = blend
            .map(|(p, path)| format!("{} {path}", decimal(*p)))
            .collect();
        let _ = writeln!(out, "--train-data-path {}", blend.join(" "));
    }
    out
}

fn olmo_core(segments: &[ExportedSegment], names: &[&str], paths: &[String]) -> String {
    let mut out = String::new();
    for (i, segment) in segments.iter().enumerate() {
        let _ = writeln!(
            out,
            "---\n# stage {i}: steps {} to {}, requested_tokens {}\nsources:",
            segment.from, segment.to, segment.tokens
        );
        for ((name, path), part) in names.iter().zip(paths).zip(&segment.parts) {
            if *part > 0 {
                let _ = writeln!(
                    out,
                    "  - {{source_name: {name}, target_ratio: {}, paths: [\"{path}/*.npy\"]}}",
                    decimal(*part)
                );
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StageGrid;
    use crate::schedule::RunLength;
    use proptest::prelude::*;
    use regmix_data::{DomainSet, Mixture};
    use regmix_regress::Objective;

    fn schedule() -> Schedule {
        let domains = DomainSet::from_names(["web", "code", "law"]).unwrap();
        let mixtures = [[0.5, 0.25, 0.25], [0.7, 0.3, 0.0], [1.0 / 3.0; 3]]
            .map(|w| Mixture::new(domains.clone(), w.to_vec()).unwrap());
        let target = RunLength {
            steps: 300,
            tokens: 3000,
        };
        let grid = StageGrid::equal(2).unwrap();
        Schedule::of_mixtures(&grid, mixtures.to_vec(), Objective::Mean, target).unwrap()
    }

    #[test]
    fn every_trainer_gets_its_format() {
        let export = |t| schedule().export(t, &ExportOptions::default()).unwrap();
        let levanter = export(Trainer::Levanter);
        assert!(levanter.contains("    - [0, {web: 0.500000, code: 0.250000, law: 0.250000}]\n"));
        assert!(levanter.contains("    - [200, {web: 0.333334, code: 0.333333, law: 0.333333}]\n"));
        let nanotron = export(Trainer::Nanotron);
        assert!(nanotron.contains("start_training_step: 1\n"));
        assert!(nanotron.contains("start_training_step: 101\n"));
        assert!(nanotron.contains("dataset_weights: [0.700000, 0.300000, 0.000000]"));
        let megatron = export(Trainer::Megatron);
        assert!(megatron.contains("--phase-transition-iterations 100,200\n"));
        assert!(megatron.contains("--train-data-path 0.700000 data/web 0.300000 data/code\n"));
        let olmo = export(Trainer::OlmoCore);
        assert_eq!(olmo.matches("source_name").count(), 3 + 2 + 3);
        assert!(olmo.contains("requested_tokens 1000"));
    }

    #[test]
    fn switches_are_aligned_or_refused() {
        let with = |align| ExportOptions {
            align,
            ..ExportOptions::default()
        };
        let text = schedule().export(Trainer::Levanter, &with(16)).unwrap();
        assert!(
            text.contains("- [96, ") && text.contains("- [208, "),
            "{text}"
        );
        let refused = |trainer, options: &ExportOptions| {
            let error = schedule().export(trainer, options).unwrap_err();
            error.to_string()
        };
        assert!(refused(Trainer::Levanter, &with(200)).contains("two switches fall on step"));
        let path = ExportOptions {
            path: "data".into(),
            ..ExportOptions::default()
        };
        assert!(refused(Trainer::Nanotron, &path).contains("`data` has no `{domain}`"));
        let unknown = Trainer::parse("magic").unwrap_err().to_string();
        assert!(unknown.contains("unknown trainer `magic`"), "{unknown}");
        assert_eq!(Trainer::parse("olmo_core").unwrap(), Trainer::OlmoCore);
    }

    proptest! {
        #[test]
        fn rounded_weights_sum_to_one(raw in prop::collection::vec(0.0f64..1.0, 1..30)) {
            prop_assume!(raw.iter().sum::<f64>() > 0.0);
            let parts = millionths(&raw);
            prop_assert_eq!(parts.iter().sum::<u64>(), 1_000_000);
            let sum: f64 = raw.iter().sum();
            for (part, w) in parts.iter().zip(&raw) {
                prop_assert!((*part as f64 / 1e6 - w / sum).abs() < 1.1e-6);
            }
        }
    }
}
