//! What values in `study.toml` must satisfy beyond their types.

use std::collections::BTreeMap;

use regmix_data::{Error, Result};

use super::names::{PLAIN, is_plain};
use super::{CheckSection, StudyConfig, TokenizerKind};
use crate::files::{ARMS, BEST_OBSERVED, target_run};
use crate::plain_mixture::{NAMES, PlainMixture};

/// An error about a key, with the section that the key is in.
pub(super) type Misplaced = (&'static str, Error);

/// The models and their training.
pub(super) fn models(config: &StudyConfig) -> Result<(), Misplaced> {
    for (section, run) in [("proxy", &config.proxy), ("target", &config.target)] {
        // The vocabulary is not known yet; the true one is checked later.
        run.model(1)
            .and_then(|_| run.training())
            .map_err(|e| (section, e))?;
    }
    Ok(())
}

/// Which runs read a part of the text.
pub(super) fn text_shares(config: &StudyConfig) -> Result<(), (String, Error)> {
    if config.target.match_epochs {
        let e = Error::input("the target's epochs are matched by proxies: expected in [proxy]");
        return Err(("target".to_owned(), e.field("match_epochs")));
    }
    if !config.proxy.match_epochs {
        return Ok(());
    }
    let target = config
        .target_tokens()
        .map_err(|e| ("target".to_owned(), e))?;
    let sizes = config.sizes().into_iter();
    let sizes = sizes.map(|size| (format!("{}.model", size.section), "steps", size.model));
    let proxies = ("proxy".to_owned(), "match_epochs", &config.proxy);
    for (section, field, run) in std::iter::once(proxies).chain(sizes) {
        let own = run.tokens().map_err(|e| (section.clone(), e))?;
        if own as f64 > target {
            let e = Error::input(format!(
                "a proxy takes {own} tokens and the target {target}: epochs can be matched only \
                 where the target takes at least as many"
            ));
            let e = e.field(field).help(
                "give `constraints.target_tokens` or a longer [target]; or leave `match_epochs` \
                 out",
            );
            return Err((section, e));
        }
    }
    Ok(())
}

/// The ranges of numbers.
pub(super) fn ranges(config: &StudyConfig) -> Result<(), Misplaced> {
    let rule = |section| {
        move |key: &str, ok: bool, expected: &str| match ok {
            true => Ok(()),
            false => {
                let e = Error::input(format!("out of range, expected {expected}"));
                Err((section, e.field(key)))
            }
        }
    };
    let corpus = &config.corpus;
    let proper = corpus.valid_share > 0.0 && corpus.valid_share < 1.0;
    rule("corpus")("valid_share", proper, "a share above 0 and below 1")?;
    let skipped = (0.0..=1.0).contains(&corpus.max_skipped);
    let longest = corpus.max_document_bytes > 0;
    let rare = corpus.rare_domain.is_none() || corpus.min_documents > 0;
    rule("corpus")("max_skipped", skipped, "a share between 0 and 1")?;
    let lost = (0.0..=1.0).contains(&corpus.max_lost);
    rule("corpus")("max_lost", lost, "a share between 0 and 1")?;
    rule("corpus")("max_document_bytes", longest, "at least 1")?;
    rule("corpus")("rare_domain", rare, "`min_documents` above 0 beside it")?;

    let tokenizer = &config.tokenizer;
    let trained = tokenizer.kind == TokenizerKind::Bpe;
    let size = !trained || (257..=1 << 24).contains(&tokenizer.vocab_size);
    rule("tokenizer")("vocab_size", size, "257 to 16777216 entries")?;

    let (design, check) = (&config.design, rule("design"));
    let floor = (0.0..1.0).contains(&design.floor);
    let switching = (0.0..=1.0).contains(&design.switching);
    check("runs", (1..=100_000).contains(&design.runs), "1 to 100000")?;
    check(
        "max_epochs",
        design.max_epochs >= 0.0,
        "0 (no limit) or more",
    )?;
    check("floor", floor, "a weight of 0 or more, below 1")?;
    check("switching", switching, "a share between 0 and 1")?;

    let (limits, check) = (&config.constraints, rule("constraints"));
    let positive = |x: f64| x > 0.0 && x.is_finite();
    let tokens = limits.target_tokens.is_none_or(positive);
    let help = "a finite number above 0";
    check("max_epochs", positive(limits.max_epochs), help)?;
    check("target_tokens", tokens, help)?;

    let objective = &config.objective;
    for (key, penalty) in [
        ("kl", objective.kl),
        ("caution", objective.caution),
        ("distance", objective.distance),
    ] {
        let ok = penalty >= 0.0 && penalty.is_finite();
        rule("objective")(key, ok, "0 (off) or more")?;
    }
    let seeds = (1..=1000).contains(&config.check.seeds);
    rule("check")("seeds", seeds, "1 to 1000")?;
    let one = !(config.fit.experts && config.fit.approximate.is_some());
    rule("fit")("experts", one, "either this or [fit.approximate]")?;
    rule("fit")("folds", config.fit.folds >= 2, "2 or more")?;
    let repeats = (1..=1000).contains(&config.fit.repeats);
    rule("fit")("repeats", repeats, "1 to 1000")
}

/// The names of the arms of a check, which become names of folders.
pub(super) fn arms(check: &CheckSection) -> Result<(), Misplaced> {
    for name in &check.against {
        if name != BEST_OBSERVED {
            let known = name.parse::<PlainMixture>();
            known.map_err(|e| {
                let e = e.field("against");
                (
                    "check",
                    e.help(format!("expected {BEST_OBSERVED} or one of {NAMES}")),
                )
            })?;
        }
    }
    for name in check.others.keys() {
        if ARMS.contains(&name.as_str()) || !is_plain(name) {
            let e = Error::input(format!(
                "`{name}`: expected {PLAIN}, and none of {}",
                ARMS.join(", ")
            ));
            return Err(("check.others", e.field(name)));
        }
    }
    let mut folders = BTreeMap::new();
    for arm in check.arms() {
        if let Some(other) = folders.insert(target_run(arm, 1), arm) {
            let e = Error::input(format!(
                "`{other}` and `{arm}` are trained in one folder: expected every mixture once"
            ));
            return Err(("check", e.field("against")));
        }
    }
    Ok(())
}
