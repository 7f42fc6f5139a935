//! `study.toml`: the only thing a user writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use regmix_data::corpus::{Layout, ReadOptions};
use regmix_data::{Domain, Error, Result};
use regmix_model::{AdamWConfig, ModelConfig, Schedule, TrainConfig};
use regmix_regress::Objective;
use serde::{Deserialize, Serialize};

/// A study's configuration. Every section but `corpus` may be left out; the
/// defaults are those of [`template`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Name and seed.
    #[serde(default)]
    pub study: StudySection,
    /// Where the text is.
    pub corpus: CorpusSection,
    /// How text becomes tokens.
    #[serde(default)]
    pub tokenizer: TokenizerSection,
    /// Which mixtures the proxies are trained on.
    #[serde(default)]
    pub design: DesignSection,
    /// The proxies.
    #[serde(default = "RunSection::proxy")]
    pub proxy: RunSection,
    /// From mixtures to losses.
    #[serde(default)]
    pub fit: FitSection,
    /// What is minimised.
    #[serde(default)]
    pub objective: ObjectiveSection,
    /// Floors, caps, repetition.
    #[serde(default)]
    pub constraints: ConstraintSection,
    /// The larger model that the mixture is checked on.
    #[serde(default = "RunSection::target")]
    pub target: RunSection,
    /// How the check is made.
    #[serde(default)]
    pub check: CheckSection,
}

/// `[study]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StudySection {
    /// Shown in the report.
    pub name: String,
    /// All random streams come from it.
    pub seed: u64,
}

impl Default for StudySection {
    fn default() -> Self {
        Self {
            name: "study".to_owned(),
            seed: 42,
        }
    }
}

/// `[corpus]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorpusSection {
    /// A folder or a file; relative to the study.
    pub path: PathBuf,
    /// Where the domain of a document is written.
    #[serde(default)]
    pub layout: LayoutName,
    /// Field or column that holds the text.
    #[serde(default = "default_text_field")]
    pub text_field: String,
    /// Field that names the domain, for the layout `labels`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_field: Option<String>,
    /// Share of documents cut off for validation where there is no such split.
    #[serde(default = "default_valid_share")]
    pub valid_share: f64,
    /// Whether repeated documents are dropped.
    #[serde(default = "default_true")]
    pub drop_duplicates: bool,
    /// File extensions per domain, for the layout `tree`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tree: BTreeMap<Domain, Vec<String>>,
}

fn default_text_field() -> String {
    "text".to_owned()
}

fn default_valid_share() -> f64 {
    0.05
}

fn default_true() -> bool {
    true
}

/// Names of the layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LayoutName {
    /// Told from the files.
    #[default]
    Auto,
    /// `train/<domain>-<n>.jsonl…`
    Files,
    /// A field of every document.
    Labels,
    /// A folder per domain.
    Folders,
    /// File extensions.
    Tree,
}

impl CorpusSection {
    /// The layout and options of a [`regmix_data::corpus::Source`].
    ///
    /// # Errors
    /// When the layout is `tree` and there is no table of extensions.
    pub fn source_options(&self) -> Result<(Option<Layout>, ReadOptions)> {
        let layout = match self.layout {
            LayoutName::Auto => None,
            LayoutName::Files => Some(Layout::Files),
            LayoutName::Labels => Some(Layout::Labels),
            LayoutName::Folders => Some(Layout::Folders),
            LayoutName::Tree => {
                if self.tree.is_empty() {
                    return Err(Error::input("the layout `tree` needs a table of extensions")
                        .field("corpus.tree")
                        .help("for example: [corpus.tree] rust = [\"rs\"], prose = [\"md\", \"txt\"]"));
                }
                Some(Layout::Tree(self.tree.clone()))
            }
        };
        let options = ReadOptions {
            text_field: self.text_field.clone(),
            label_field: self.label_field.clone(),
            ..ReadOptions::default()
        };
        Ok((layout, options))
    }
}

/// `[tokenizer]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenizerSection {
    /// Which one.
    pub kind: TokenizerKind,
    /// Entries of a trained vocabulary.
    pub vocab_size: u32,
    /// Megabytes of text that it is trained on, evenly over domains.
    pub sample_mb: usize,
    /// A `tokenizer.json`, for the kind `file`; relative to the study.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The token between documents, for the kind `file`.
    pub separator: String,
}

impl Default for TokenizerSection {
    fn default() -> Self {
        Self {
            kind: TokenizerKind::Bpe,
            vocab_size: 4096,
            sample_mb: 16,
            path: None,
            separator: regmix_data::tokenizer::SEPARATOR.to_owned(),
        }
    }
}

/// Kinds of tokenizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenizerKind {
    /// Byte-level BPE, trained on the corpus.
    Bpe,
    /// One token per byte.
    Bytes,
    /// A given `tokenizer.json`.
    File,
}

/// `[design]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DesignSection {
    /// `regmix`, `floored` or `maximin`.
    pub sampler: SamplerName,
    /// How many proxies.
    pub runs: usize,
    /// Power applied to the natural mixture.
    pub temperature: f64,
    /// Least and greatest Dirichlet strength.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strengths: Option<[f64; 2]>,
    /// Least weight of every domain.
    pub floor: f64,
    /// Greatest number of times that a proxy may see a domain's tokens; 0 for
    /// no limit.
    pub max_epochs: f64,
}

impl Default for DesignSection {
    fn default() -> Self {
        Self {
            sampler: SamplerName::Maximin,
            runs: 64,
            temperature: 0.5,
            strengths: None,
            floor: 0.0,
            max_epochs: 0.0,
        }
    }
}

/// Names of the samplers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SamplerName {
    /// As published.
    Regmix,
    /// Floors without rejection.
    Floored,
    /// Spread out.
    Maximin,
}

/// `[proxy]` and `[target]`: a model and how it is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// A preset of [`ModelConfig`].
    pub preset: String,
    /// Transformer blocks, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<usize>,
    /// Width, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_model: Option<usize>,
    /// Heads, instead of the preset's; key and value heads follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Key and value heads, instead of as many as heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kv_heads: Option<usize>,
    /// Inner width of the feed-forward layer, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub d_ff: Option<usize>,
    /// Tokens seen at once, instead of the preset's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Model vocabulary, instead of the tokenizer's rounded up to 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Whether the output layer shares the embedding.
    #[serde(default)]
    pub tied: bool,
    /// Optimizer steps.
    pub steps: u64,
    /// Sequences per step.
    pub batch_size: usize,
    /// Sequences at once; the whole batch if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub micro_batch: Option<usize>,
    /// Peak learning rate.
    pub lr: f64,
    /// Learning rate at the end of a cosine.
    #[serde(default)]
    pub min_lr: f64,
    /// Steps of warm-up.
    #[serde(default)]
    pub warmup: u64,
    /// `constant` or `cosine`.
    #[serde(default)]
    pub schedule: Schedule,
    /// AdamW and clipping.
    #[serde(default)]
    pub optimizer: AdamWConfig,
    /// Evaluations along the run; the last step is always one.
    #[serde(default = "default_evaluations")]
    pub evaluations: u64,
    /// Validation sequences per domain.
    #[serde(default = "default_eval_sequences")]
    pub eval_sequences: usize,
    /// Steps between checkpoints; 0 for none but on interruption.
    #[serde(default = "default_checkpoint_every")]
    pub checkpoint_every: u64,
    /// Whether the weights of finished runs are kept.
    #[serde(default)]
    pub keep_weights: bool,
}

fn default_evaluations() -> u64 {
    5
}

fn default_eval_sequences() -> usize {
    32
}

fn default_checkpoint_every() -> u64 {
    100
}

impl RunSection {
    /// The default proxy.
    pub fn proxy() -> Self {
        Self {
            preset: "nano".to_owned(),
            layers: None,
            d_model: None,
            heads: None,
            kv_heads: None,
            d_ff: None,
            context: None,
            vocab_size: None,
            tied: false,
            steps: 200,
            batch_size: 16,
            micro_batch: None,
            lr: 4e-3,
            min_lr: 0.0,
            warmup: 20,
            schedule: Schedule::Cosine,
            optimizer: AdamWConfig::default(),
            evaluations: default_evaluations(),
            eval_sequences: default_eval_sequences(),
            checkpoint_every: default_checkpoint_every(),
            keep_weights: false,
        }
    }

    /// The default target.
    pub fn target() -> Self {
        Self {
            preset: "micro".to_owned(),
            steps: 400,
            lr: 3e-3,
            ..Self::proxy()
        }
    }

    /// The model for a tokenizer's vocabulary.
    ///
    /// # Errors
    /// When the preset is unknown or the parts do not fit together.
    pub fn model(&self, tokenizer_vocab: u32) -> Result<ModelConfig> {
        let vocab = tokenizer_vocab as usize;
        let mut model = ModelConfig::preset(&self.preset, vocab)?;
        for (value, field) in [
            (self.layers, &mut model.layers),
            (self.d_model, &mut model.d_model),
            (self.d_ff, &mut model.d_ff),
            (self.context, &mut model.context),
            (self.vocab_size, &mut model.vocab_size),
        ] {
            if let Some(value) = value {
                *field = value;
            }
        }
        if let Some(heads) = self.heads {
            model.heads = heads;
            model.kv_heads = heads;
        }
        if let Some(kv_heads) = self.kv_heads {
            model.kv_heads = kv_heads;
        }
        model.tied = self.tied;
        model.check()?;
        if model.vocab_size < vocab {
            return Err(Error::input(format!(
                "the tokenizer knows {vocab} tokens, the model {}: expected a model vocabulary at \
                 least as large",
                model.vocab_size
            ))
            .field("vocab_size")
            .help("leave `vocab_size` out, so that it follows the tokenizer"));
        }
        Ok(model)
    }

    /// How it is trained.
    ///
    /// # Errors
    /// When a value is out of range.
    pub fn training(&self) -> Result<TrainConfig> {
        let train = TrainConfig {
            steps: self.steps,
            batch_size: self.batch_size,
            micro_batch: self.micro_batch.unwrap_or(self.batch_size),
            lr: self.lr,
            min_lr: self.min_lr,
            warmup: self.warmup,
            schedule: self.schedule,
            optimizer: self.optimizer.clone(),
            eval_every: (self.steps / self.evaluations.max(1)).max(1),
            eval_sequences: self.eval_sequences,
            checkpoint_every: self.checkpoint_every,
            keep_weights: self.keep_weights,
        };
        train.check()?;
        Ok(train)
    }
}

/// `[fit]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FitSection {
    /// Which regressors are judged.
    pub regressors: Vec<String>,
    /// Folds of the cross-validation.
    pub folds: usize,
    /// Repeats of the cross-validation.
    pub repeats: usize,
}

impl Default for FitSection {
    fn default() -> Self {
        let options = regmix_regress::FitOptions::default();
        Self {
            // `mean` is always judged.
            regressors: (options.regressors.into_iter())
                .filter(|r| r != "mean")
                .collect(),
            folds: options.folds,
            repeats: options.repeats,
        }
    }
}

/// `[objective]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveSection {
    /// `mean` over all domains, or one domain.
    pub loss: String,
    /// Weights per domain, instead of `loss`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, f64>,
}

impl Default for ObjectiveSection {
    fn default() -> Self {
        Self {
            loss: "mean".to_owned(),
            weights: BTreeMap::new(),
        }
    }
}

impl ObjectiveSection {
    /// The objective.
    ///
    /// # Errors
    /// When the weights are unusable.
    pub fn objective(&self) -> Result<Objective> {
        if self.weights.is_empty() {
            Ok(Objective::parse(&self.loss))
        } else {
            Objective::weighted(self.weights.clone()).map_err(|e| e.field("objective.weights"))
        }
    }
}

/// `[constraints]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConstraintSection {
    /// How often the target may see a domain's tokens.
    pub max_epochs: f64,
    /// Tokens of the run that the mixture is for; those of `[target]` if left
    /// out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_tokens: Option<f64>,
    /// Least weight per domain.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub floor: BTreeMap<String, f64>,
    /// Greatest weight per domain.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cap: BTreeMap<String, f64>,
}

impl Default for ConstraintSection {
    fn default() -> Self {
        Self {
            max_epochs: 4.0,
            target_tokens: None,
            floor: BTreeMap::new(),
            cap: BTreeMap::new(),
        }
    }
}

/// `[check]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckSection {
    /// Targets per mixture, each with its own seed.
    pub seeds: u64,
    /// What the found mixture is compared with: `natural`, `uniform`,
    /// `best_observed`.
    pub against: Vec<String>,
}

impl Default for CheckSection {
    fn default() -> Self {
        Self {
            seeds: 3,
            against: vec!["natural".to_owned(), "uniform".to_owned()],
        }
    }
}

/// What `regmix optimize --objective FILE.toml` reads: an objective with
/// limits, apart from any study.
///
/// ```
/// use regmix_study::config::ObjectiveFile;
///
/// let text = "
/// [weights]
/// web = 0.75
/// code = 0.25
/// [constraints]
/// max_epochs = 4.0
/// target_tokens = 1e9
/// [available]
/// web = 5e8
/// code = 1e8
/// ";
/// let file = ObjectiveFile::parse(text, "goal.toml".as_ref())?;
/// assert_eq!(file.objective()?.to_string(), "0.25 code + 0.75 web");
/// # Ok::<(), regmix_data::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveFile {
    /// `mean`, or one target; the default where there are no weights is `mean`.
    pub loss: Option<String>,
    /// Weights per target.
    pub weights: BTreeMap<String, f64>,
    /// Floors, caps, repetition.
    pub constraints: ConstraintSection,
    /// Tokens there are, per domain; with `constraints.target_tokens` they set
    /// the limit of repetition.
    pub available: BTreeMap<String, f64>,
}

impl ObjectiveFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read or does not parse.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
        Self::parse(&text, path)
    }

    /// Parses a file; `path` is used in errors only.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|e| explain(&e, text, path))
    }

    /// The objective.
    ///
    /// # Errors
    /// When it has both a loss and weights, or the weights are unusable.
    pub fn objective(&self) -> Result<Objective> {
        match (&self.loss, self.weights.is_empty()) {
            (Some(_), false) => Err(Error::input(
                "both `loss` and `weights`: expected one of them",
            )),
            (Some(loss), true) => Ok(Objective::parse(loss)),
            (None, true) => Ok(Objective::Mean),
            (None, false) => Objective::weighted(self.weights.clone()),
        }
    }
}

impl Config {
    /// Reads a study file.
    ///
    /// # Errors
    /// When it cannot be read or does not parse; the error marks the place and
    /// names the nearest key it knows.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| {
            let missing = e.kind() == std::io::ErrorKind::NotFound;
            let error = Error::io(path, e);
            if missing {
                error.help(
                    "`regmix init` writes a commented study.toml; `--study DIR` names its folder",
                )
            } else {
                error
            }
        })?;
        Self::parse(&text, path)
    }

    /// Parses a study file; `path` is used in errors only.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let config: Self = toml::from_str(text).map_err(|e| explain(&e, text, path))?;
        for (section, run) in [("proxy", &config.proxy), ("target", &config.target)] {
            // A vocabulary of one token is any: the true one is checked later.
            run.model(1)
                .and_then(|_| run.training())
                .map_err(|e| place(e, section, text, path))?;
        }
        config
            .corpus
            .source_options()
            .map_err(|e| e.in_file(path))?;
        config.objective.objective().map_err(|e| e.in_file(path))?;
        let rules: [(&str, &str, bool, &str); 8] = [
            (
                "corpus",
                "valid_share",
                config.corpus.valid_share > 0.0 && config.corpus.valid_share < 1.0,
                "a share above 0 and below 1",
            ),
            ("design", "runs", config.design.runs > 0, "at least 1"),
            (
                "design",
                "max_epochs",
                config.design.max_epochs >= 0.0,
                "0 (no limit) or more",
            ),
            (
                "design",
                "floor",
                (0.0..1.0).contains(&config.design.floor),
                "a weight of 0 or more, below 1",
            ),
            (
                "constraints",
                "max_epochs",
                config.constraints.max_epochs > 0.0,
                "a number above 0",
            ),
            (
                "constraints",
                "target_tokens",
                config.constraints.target_tokens.is_none_or(|t| t > 0.0),
                "a number above 0",
            ),
            ("check", "seeds", config.check.seeds > 0, "at least 1"),
            ("fit", "folds", config.fit.folds >= 2, "2 or more"),
        ];
        for (section, key, ok, expected) in rules {
            if !ok {
                let e = Error::input(format!("out of range, expected {expected}")).field(key);
                return Err(place(e, section, text, path));
            }
        }
        for name in &config.check.against {
            if !["natural", "uniform", "best_observed"].contains(&name.as_str()) {
                let e = Error::input(format!(
                    "unknown mixture `{name}`: expected natural, uniform or best_observed"
                ))
                .field("against");
                return Err(place(e, "check", text, path));
            }
        }
        Ok(config)
    }
}

/// Puts an error about a key of a section at that key.
fn place(error: Error, section: &str, text: &str, path: &Path) -> Error {
    let key = error.field_name().unwrap_or_default().to_owned();
    let mut error = error.in_file(path).field(format!("{section}.{key}"));
    let mut inside = false;
    let mut at = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let trimmed = line.trim_start();
        if trimmed.starts_with('[') {
            inside = trimmed.trim_end().trim_matches(['[', ']']) == section
                || trimmed.starts_with(&format!("[{section}."));
        } else if inside && trimmed.split('=').next().is_some_and(|k| k.trim() == key) {
            error = error
                .line(number as u64 + 1)
                .span(at..at + line.trim_end().len());
            break;
        }
        at += line.len();
    }
    error
}

/// Turns toml's error into ours, with the nearest known key.
fn explain(error: &toml::de::Error, text: &str, path: &Path) -> Error {
    let message = error.message();
    let mut out = Error::input(message.to_owned()).in_file(path);
    if let Some(span) = error.span() {
        let line = 1 + text[..span.start.min(text.len())].matches('\n').count();
        out = out.line(line as u64).span(span);
    }
    let Some(rest) = message.strip_prefix("unknown field ") else {
        return out;
    };
    let mut quoted = rest.split('`').skip(1).step_by(2);
    let Some(unknown) = quoted.next() else {
        return out;
    };
    let nearest = quoted
        .map(|known| (strsim::damerau_levenshtein(unknown, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len().div_ceil(2));
    match nearest {
        Some((_, known)) => out.help(format!("did you mean `{known}`?")),
        None => out.help("remove it, or look at the template of `regmix init`"),
    }
}

/// A commented study file for a corpus: what `regmix init` writes.
pub fn template(name: &str, corpus: &Path) -> String {
    let quote = |text: &str| toml::Value::String(text.to_owned()).to_string();
    include_str!("template.toml")
        .replace("\"{name}\"", &quote(name))
        .replace("\"{corpus}\"", &quote(&corpus.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Config> {
        Config::parse(text, Path::new("study.toml"))
    }

    #[test]
    fn the_template_says_what_the_defaults_are() {
        let text = template("my \"study\"", Path::new("da\\ta"));
        let mut config = parse(&text).unwrap();
        assert_eq!(config.study.name, "my \"study\"");
        assert_eq!(config.corpus.path, Path::new("da\\ta"));
        config.study.name = "study".into();
        let bare = parse("[corpus]\npath = 'da\\ta'\n").unwrap();
        assert_eq!(config, bare);
    }

    #[test]
    fn every_key_of_the_template_is_explained() {
        let text = template("x", Path::new("x"));
        let mut before = "";
        for line in text.lines() {
            let key = line.contains('=') && !line.starts_with('#');
            assert!(
                !key || line.contains('#') || before.starts_with('#'),
                "no comment for {line}"
            );
            before = line;
        }
    }

    #[test]
    fn unknown_keys_are_refused_with_the_nearest_one() {
        let err = parse("[corpus]\npath = 'x'\n[proxy]\npreset = 'nano'\nstep = 3\n").unwrap_err();
        assert_eq!(err.line_number(), Some(5));
        assert_eq!(err.help_text(), Some("did you mean `steps`?"));
        let err = parse("[corpse]\npath = 'x'\n").unwrap_err();
        assert!(err.help_text().unwrap().contains("`corpus`"), "{err:?}");
        let err = parse("[corpus]\npath = 'x'\nzzzzzzzzzzzz = 1\n").unwrap_err();
        assert!(err.help_text().unwrap().contains("template"), "{err:?}");
    }

    #[test]
    fn values_out_of_range_are_placed() {
        let err = parse("[corpus]\npath = 'x'\n[design]\nruns = 0\n").unwrap_err();
        assert_eq!(
            err.to_string(),
            "study.toml:4: `design.runs`: out of range, expected at least 1"
        );
        let err = parse("[corpus]\npath = 'x'\n[check]\nagainst = ['doremi']\n").unwrap_err();
        assert!(
            err.to_string().contains("unknown mixture `doremi`"),
            "{err}"
        );
        let mut text = template("x", Path::new("x"));
        text = text.replacen("lr = 4e-3", "lr = -1.0", 1);
        let err = parse(&text).unwrap_err();
        assert!(err.to_string().contains("`proxy.lr`: -1"), "{err}");
        assert!(err.byte_span().is_some());
    }
}
