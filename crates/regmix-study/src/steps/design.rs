//! Drawing the proxies' mixtures.

use regmix_data::artefact::{self, withdraw};
use regmix_data::design::{Drawn, Floored, Maximin, RegMix, Sampler, Space};
use regmix_data::table::MixtureTable;
use regmix_data::{
    DomainSet, Error, Loader, LoaderConfig, Mixture, Monitor, Result, TokenCorpus, random,
};
use regmix_dynamic::{Segment, Segments};

use super::runs::lock_runs;
use crate::config::SamplerName;
use crate::files;
use crate::stamp::{Stamp, keep_copy, remade_by, set_aside};
use crate::study::{Context, Study, natural_mixture, read_design};

/// Draws the design, or reads the one that is there.
pub(crate) fn design(study: &Study, cx: Context<'_>) -> Result<MixtureTable> {
    let corpus = study.corpus()?;
    check_names(study, corpus.domains())?;
    let path = study.path(files::DESIGN);
    if files::DESIGN.is_users_own(study.root()) && !cx.redo {
        let table = read_design(&path)?;
        (table.notes().iter()).for_each(|note| cx.monitor.message(note));
        return table
            .reordered(corpus.domains())
            .map_err(|e| e.in_file(path));
    }
    let stamp = stamp(study, &corpus)?;
    let drawn = || {
        let table = read_design(&path)?;
        segments(study, &table)?;
        Ok(table)
    };
    if let Some(table) = stamp.finished(cx.redo, cx.monitor, drawn)? {
        return Ok(table);
    }
    let design = draw(study, &corpus, cx.monitor)?;
    // Of several workers that find no design, one writes it.
    let folder = path.parent().unwrap_or(study.root());
    let _lock = match cx.redo {
        true => None,
        false => Some(artefact::wait_for_folder(folder, cx.monitor)?),
    };
    if !cx.redo
        && let Some(table) = stamp.finished(false, cx.monitor, drawn)?
    {
        return Ok(table);
    }
    cx.monitor.message(&format!(
        "drew {} mixtures ({} candidates, {} usable)",
        design.mixtures.len(),
        design.tried,
        design.accepted
    ));
    let table = design.into_table()?;
    keep_users_own(study, cx)?;
    let runs = study.path(files::PROXIES);
    if path.exists() && runs.exists() {
        // The old runs belong to the old design.
        let _lock = lock_runs(&runs)?;
        stamp.begin()?;
        let moved = set_aside(&runs)?;
        cx.monitor
            .message(&format!("the old runs are kept in {}", moved.display()));
    }
    stamp.begin()?;
    draw_switching_runs(study, &table)?;
    table.write_csv(&path)?;
    stamp.write()?;
    Ok(table)
}

/// Copies a design that the user wrote, before another takes its place.
fn keep_users_own(study: &Study, cx: Context<'_>) -> Result<()> {
    if !files::DESIGN.is_users_own(study.root()) {
        return Ok(());
    }
    for own in [study.path(files::DESIGN), study.path(files::SEGMENTS)] {
        if own.exists() {
            let kept = keep_copy(&own)?;
            cx.monitor.message(&format!(
                "{}, which you wrote, is kept as {}",
                own.display(),
                kept.display()
            ));
        }
    }
    Ok(())
}

/// Writes which runs change to which mixture when; no file where none does.
fn draw_switching_runs(study: &Study, design: &MixtureTable) -> Result<()> {
    let path = study.path(files::SEGMENTS);
    let share = study.config().design.switching;
    if share > 0.0 {
        let dynamic = study.config().stage_config();
        let seed = study.config().study.seed;
        return Segments::switching(design, share, &dynamic.grid()?, seed)?.write_csv(path);
    }
    withdraw(&path)
}

/// Finds unknown domains in the configuration before anything is trained.
fn check_names(study: &Study, domains: &DomainSet) -> Result<()> {
    let config = study.config();
    let known = |section: &str, name: &str| match domains.require(name) {
        Ok(_) => Ok(()),
        Err(e) => Err(study.place(e.field(name), section)),
    };
    for name in config.constraints.cap.keys() {
        known("constraints.cap", name)?;
    }
    for name in config.constraints.floor.keys() {
        known("constraints.floor", name)?;
    }
    let losses = |name: &&String| !config.is_accuracy(name);
    for name in config.objective.weights.keys().filter(losses) {
        known("objective.weights", name)?;
    }
    let loss = &config.objective.loss;
    let is_other = ["mean", "worst"].contains(&&**loss) || config.is_accuracy(loss);
    match domains.require(loss) {
        Err(e) if config.objective.weights.is_empty() && !is_other => {
            Err(study.place(e.field("loss"), "objective"))
        }
        _ => Ok(()),
    }
}

/// The mixtures of every run of the design, segment by segment: runs that
/// change their mixture have several.
pub(crate) fn segments(study: &Study, design: &MixtureTable) -> Result<Segments> {
    let path = study.path(files::SEGMENTS);
    if !path.exists() {
        if study.config().design.switching > 0.0 && !files::DESIGN.is_users_own(study.root()) {
            return Err(
                Error::input("the runs that change their mixture are missing")
                    .in_file(path)
                    .help("put the file back, or draw the design again: `regmix design --redo`"),
            );
        }
        return Ok(Segments::fixed(design));
    }
    let drawn =
        Segments::read_csv(path).map_err(|e| match files::DESIGN.is_users_own(study.root()) {
            true => e,
            false => remade_by("design", e),
        })?;
    let mut all = Segments::new(design.domains().clone());
    for (run, mixture) in design.iter() {
        // Runs that were added to the design later do not change theirs.
        let fixed = || {
            let mixture = mixture.clone();
            vec![Segment { from: 0.0, mixture }]
        };
        all.push(run, drawn.get(run).map_or_else(fixed, <[_]>::to_vec))?;
    }
    Ok(all)
}

/// What a design drawn now would be made from.
pub(crate) fn stamp(study: &Study, corpus: &TokenCorpus) -> Result<Stamp> {
    let config = study.config();
    let mut stamp = files::DESIGN
        .stamp(study.root())
        .with("corpus", &corpus.fingerprint())?
        .with("seed", &config.study.seed)?
        .with("design", &config.design)?;
    if config.design.switching > 0.0 {
        stamp = stamp.with("stage points", &config.dynamic.grid()?.points())?;
    }
    if config.design.max_epochs > 0.0 {
        // The length of a proxy changes what is drawn only under this limit.
        stamp = stamp.with("proxy_tokens", &proxy_tokens(study)?)?;
        if let Some(share) = config.text_share(&config.proxy)? {
            stamp = stamp.with("text_share", &share)?;
        }
    }
    Ok(stamp)
}

fn draw(study: &Study, corpus: &TokenCorpus, monitor: &dyn Monitor) -> Result<Drawn> {
    if let [only] = corpus.domains().names().collect::<Vec<_>>()[..] {
        return Err(Error::input(format!(
            "the corpus has one domain, `{only}`, which leaves nothing to mix: expected at least two"
        ))
        .in_file(study.path(files::CORPUS))
        .help(
            "set `corpus.layout` in study.toml so that regmix finds several domains, or add text of \
             another domain; then: regmix tokenize --redo",
        ));
    }
    let section = &study.config().design;
    let natural = natural_mixture(corpus.manifest())?;
    let mut space = Space::new(natural);
    if section.max_epochs > 0.0 {
        let share = study.config().text_share(&study.config().proxy)?;
        let tokens = proxy_tokens(study)? as f64 / share.unwrap_or(1.0);
        let caps = (corpus.manifest().domains.iter())
            .map(|d| (section.max_epochs * d.train.tokens as f64 / tokens).min(1.0))
            .collect();
        space = space
            .with_caps(caps)
            .map_err(|e| e.field("design.max_epochs"))?;
    }
    space = space
        .with_floor(section.floor)
        .map_err(|e| e.field("design.floor"))?;
    let floored = |default: Floored| Floored {
        temperature: section.temperature,
        strengths: section.strengths.unwrap_or(default.strengths),
    };
    let sampler: Box<dyn Sampler> = match section.sampler {
        SamplerName::Floored => Box::new(floored(Floored::default())),
        SamplerName::Maximin => Box::new(Maximin {
            source: floored(Maximin::default().source),
            ..Maximin::default()
        }),
        SamplerName::Regmix => Box::new(RegMix {
            temperature: section.temperature,
            strengths: section.strengths.unwrap_or(RegMix::default().strengths),
            ..RegMix::default()
        }),
    };
    let mut rng = random::stream(study.config().study.seed, "design", sampler.name());
    let anchors = match section.anchors {
        true => anchors(&space),
        false => Vec::new(),
    };
    // The fit learns nothing from a design of hardly more than the anchors.
    let anchors = if section.runs > 2 * anchors.len() {
        anchors
    } else {
        Vec::new()
    };
    let mut drawn =
        sampler.draw_monitored(&space, section.runs - anchors.len(), &mut rng, monitor)?;
    drawn.mixtures.splice(0..0, anchors);
    Ok(drawn)
}

/// Tokens that one proxy is trained on.
pub(crate) fn proxy_tokens(study: &Study) -> Result<u64> {
    study.config().proxy.tokens()
}

/// How often a proxy of `tokens` tokens sees each domain's text, per domain.
fn implied_epochs(
    study: &Study,
    corpus: &TokenCorpus,
    mixture: &Mixture,
    tokens: u64,
    context: usize,
) -> Result<Vec<f64>> {
    let mixture = mixture.reordered(corpus.domains())?;
    let config = LoaderConfig::new(context, study.config().study.seed, "epochs");
    let share = study.config().text_share(&study.config().proxy)?;
    let config = config.with_text_share(share.unwrap_or(1.0));
    let mut loader = Loader::new(corpus.clone(), mixture, config)?;
    Ok(loader.implied_epochs(tokens / context as u64))
}

/// The greatest number of epochs per domain over all proxies.
pub(crate) fn proxy_epochs(study: &Study) -> Result<Vec<(String, f64)>> {
    let corpus = study.corpus()?;
    let mixtures = study.mixtures()?;
    let context = study.config().proxy.model(corpus.vocab_size())?.context;
    let tokens = proxy_tokens(study)?;
    let mut greatest = vec![0.0_f64; corpus.domains().len()];
    for mixture in mixtures.mixtures() {
        let epochs = implied_epochs(study, &corpus, mixture, tokens, context)?;
        for (most, now) in greatest.iter_mut().zip(epochs) {
            *most = most.max(now);
        }
    }
    Ok(corpus
        .domains()
        .names()
        .map(str::to_owned)
        .zip(greatest)
        .collect())
}

/// The natural and the uniform mixture, where limits allow them.
fn anchors(space: &Space) -> Vec<Mixture> {
    let natural = space.prior().clone();
    let uniform = Mixture::uniform(natural.domains().clone());
    let allowed = |mixture: &Mixture| {
        let limits = space.floor().iter().zip(space.cap());
        (mixture.weights().iter().zip(limits)).all(|(w, (low, high))| (*low..=*high).contains(w))
    };
    let mut out = vec![natural];
    if uniform.tv_distance(&out[0]) > 1e-9 {
        out.push(uniform);
    }
    out.retain(allowed);
    out
}
