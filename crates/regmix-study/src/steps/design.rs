//! Drawing the proxies' mixtures.

use regmix_data::design::{Drawn, Floored, Maximin, RegMix, Sampler, Space};
use regmix_data::table::MixtureTable;
use regmix_data::{DomainSet, Error, Loader, LoaderConfig, Mixture, Result, TokenCorpus, random};
use regmix_dynamic::Segments;

use crate::config::SamplerName;
use crate::stamp::{Stamp, set_aside};
use crate::study::{Context, Study, natural_mixture};

impl Study {
    /// Draws the design into `design/mixtures.csv`, or reads the one that is
    /// there. A table that the user put there is taken as it is.
    ///
    /// # Errors
    /// When the corpus is missing, the objective or a constraint names an
    /// unknown domain, the space of mixtures is empty, or the inputs of a
    /// finished design changed.
    pub fn design(&self, cx: Context<'_>) -> Result<MixtureTable> {
        let corpus = self.corpus()?;
        self.check_names(corpus.domains())?;
        let path = self.path("design/mixtures.csv");
        if path.exists() && !self.path("design/inputs.json").exists() && !cx.redo {
            // Not drawn here: the user's own design.
            let table = MixtureTable::read_csv(&path)?;
            return table
                .reordered(corpus.domains())
                .map_err(|e| e.in_file(path));
        }
        let stamp = self.design_stamp(&corpus)?;
        if stamp.is_fresh(&path, "design", cx.redo)? {
            return MixtureTable::read_csv(path);
        }
        let drawn = self.draw(&corpus)?;
        cx.monitor.message(&format!(
            "drew {} mixtures ({} candidates, {} usable)",
            drawn.mixtures.len(),
            drawn.tried,
            drawn.accepted
        ));
        let table = drawn.into_table()?;
        let runs = self.path("runs");
        if path.exists() && runs.exists() {
            // The old runs belong to the old design.
            let moved = set_aside(&runs)?;
            cx.monitor
                .message(&format!("the old runs are kept in {}", moved.display()));
        }
        self.draw_switches(&table)?;
        table.write_csv(&path)?;
        stamp.write()?;
        Ok(table)
    }

    /// Says which runs go over to which mixture when, in `segments.csv`; no
    /// file where none does.
    fn draw_switches(&self, design: &MixtureTable) -> Result<()> {
        let path = self.path("design/segments.csv");
        let share = self.config().design.switching;
        if share > 0.0 {
            let dynamic = self.config().stage_config();
            let seed = self.config().study.seed;
            return Segments::switching(design, share, &dynamic.grid()?, seed)?.write_csv(path);
        }
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path, e)),
            _ => Ok(()),
        }
    }

    /// Finds names that are no domain before anything is trained for them.
    fn check_names(&self, domains: &DomainSet) -> Result<()> {
        let config = self.config();
        let known = |section: &str, name: &str| match domains.require(name) {
            Ok(_) => Ok(()),
            Err(e) => Err(self.place(e.field(name), section)),
        };
        for name in config.constraints.cap.keys() {
            known("constraints.cap", name)?;
        }
        for name in config.constraints.floor.keys() {
            known("constraints.floor", name)?;
        }
        for name in config.objective.weights.keys() {
            known("objective.weights", name)?;
        }
        let loss = &config.objective.loss;
        match domains.require(loss) {
            Err(e) if loss != "mean" && config.objective.weights.is_empty() => {
                Err(self.place(e.field("loss"), "objective"))
            }
            _ => Ok(()),
        }
    }

    /// What a design drawn now would be made from.
    pub(crate) fn design_stamp(&self, corpus: &TokenCorpus) -> Result<Stamp> {
        let config = self.config();
        let mut stamp = Stamp::new(self.path("design/inputs.json"))
            .with("corpus", &corpus.fingerprint())?
            .with("seed", &config.study.seed)?
            .with("design", &config.design)?;
        if config.design.switching > 0.0 {
            stamp = stamp.with("stage points", &config.dynamic.grid()?.points())?;
        }
        if config.design.max_epochs > 0.0 {
            // Only then does the length of a proxy change what is drawn.
            stamp = stamp.with("proxy_tokens", &self.proxy_tokens(corpus)?)?;
        }
        Ok(stamp)
    }

    fn draw(&self, corpus: &TokenCorpus) -> Result<Drawn> {
        let section = &self.config().design;
        let natural = natural_mixture(corpus.manifest())?;
        let mut space = Space::new(natural);
        if section.max_epochs > 0.0 {
            let tokens = self.proxy_tokens(corpus)? as f64;
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
        let mut rng = random::stream(self.config().study.seed, "design", sampler.name());
        let anchors = match section.anchors {
            true => anchors(&space),
            false => Vec::new(),
        };
        // A design that holds hardly more than them would teach nothing.
        let anchors = if section.runs > 2 * anchors.len() {
            anchors
        } else {
            Vec::new()
        };
        let mut drawn = sampler.draw(&space, section.runs - anchors.len(), &mut rng)?;
        drawn.mixtures.splice(0..0, anchors);
        Ok(drawn)
    }

    /// Tokens that one proxy is trained on.
    pub(crate) fn proxy_tokens(&self, corpus: &TokenCorpus) -> Result<u64> {
        let proxy = &self.config().proxy;
        let context = proxy.model(corpus.vocab_size())?.context as u64;
        Ok(proxy.steps * proxy.batch_size as u64 * context)
    }

    /// How often a run of `tokens` tokens sees each domain's text, per domain.
    ///
    /// # Errors
    /// When a domain is smaller than one sequence.
    pub fn implied_epochs(
        &self,
        corpus: &TokenCorpus,
        mixture: &Mixture,
        tokens: u64,
        context: usize,
    ) -> Result<Vec<f64>> {
        let mixture = mixture.reordered(corpus.domains())?;
        let config = LoaderConfig::new(context, self.config().study.seed, "epochs");
        let mut loader = Loader::new(corpus.clone(), mixture, config)?;
        Ok(loader.implied_epochs(tokens / context as u64))
    }

    /// The greatest number of epochs per domain over all proxies.
    ///
    /// # Errors
    /// As [`Study::implied_epochs`].
    pub fn proxy_epochs(&self) -> Result<Vec<(String, f64)>> {
        let corpus = self.corpus()?;
        let mixtures = self.mixtures()?;
        let context = self.config().proxy.model(corpus.vocab_size())?.context;
        let tokens = self.proxy_tokens(&corpus)?;
        let mut greatest = vec![0.0_f64; corpus.domains().len()];
        for mixture in mixtures.mixtures() {
            let epochs = self.implied_epochs(&corpus, mixture, tokens, context)?;
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
