//! The files and folders of a study: each is named here, once.

use std::path::{Path, PathBuf};

use regmix_data::{Error, Result};

use crate::stamp::{Stamp, is_unfinished, remade_by};

/// A file that a step writes when it is complete, and what belongs to it.
#[derive(Debug, Clone, Copy)]
pub struct Artefact {
    /// Its path in the study's folder.
    path: &'static str,
    /// The path of its stamp, which records what it was made from.
    stamp: &'static str,
    /// The command that makes it: `regmix <verb>`.
    verb: &'static str,
    /// What the user reads where it is missing.
    missing: &'static str,
}

/// The manifest of the tokenized corpus.
pub const CORPUS: Artefact = Artefact {
    path: "corpus/manifest.json",
    stamp: "corpus/inputs.json",
    verb: "tokenize",
    missing: "the corpus is not tokenized",
};

/// The mixtures of the proxies.
pub const DESIGN: Artefact = Artefact {
    path: "design/mixtures.csv",
    stamp: "design/inputs.json",
    verb: "design",
    missing: "no mixtures were drawn",
};

/// The fit.
pub const FIT: Artefact = Artefact {
    path: "fit/fit.json",
    stamp: "fit/inputs.json",
    verb: "fit",
    missing: "nothing is fitted",
};

/// The laws of scale, where the study has several sizes.
pub const SCALE: Artefact = Artefact {
    path: "fit/scale.json",
    stamp: "fit/scale.inputs.json",
    verb: "fit",
    missing: "no laws of scale are fitted",
};

/// The mixture that was found.
pub const MIXTURE: Artefact = Artefact {
    path: "mixture.json",
    stamp: "mixture.inputs.json",
    verb: "optimize",
    missing: "no mixture was searched",
};

/// The schedule of mixtures.
pub const SCHEDULE: Artefact = Artefact {
    path: "schedule.json",
    stamp: "schedule.inputs.json",
    verb: "schedule",
    missing: "no schedule was planned",
};

/// The online controller, which the step of the schedule writes too.
pub const CONTROLLER: Artefact = Artefact {
    path: "controller.json",
    ..SCHEDULE
};

/// The losses of the mixed predictions of experts.
pub const MIXED_LOSSES: Artefact = Artefact {
    path: "experts/losses.csv",
    stamp: "experts/inputs.json",
    verb: "train",
    missing: "the predictions of the experts were not mixed",
};

/// The mixtures of the second and the third round of CLIMB.
pub const CLIMB_ROUNDS: [Artefact; 2] = [
    Artefact {
        path: "climb/mixtures/round-2.csv",
        stamp: "climb/mixtures/round-2.inputs.json",
        verb: "compare",
        missing: "the second round of CLIMB was not drawn",
    },
    Artefact {
        path: "climb/mixtures/round-3.csv",
        stamp: "climb/mixtures/round-3.inputs.json",
        verb: "compare",
        missing: "the third round of CLIMB was not drawn",
    },
];

/// What the user writes.
pub const STUDY_FILE: &str = "study.toml";
/// Shards and manifest of the tokenized corpus.
pub const CORPUS_FOLDER: &str = "corpus";
/// Names and hashes of the files of text that were tokenized.
pub const SOURCE_FILES: &str = "corpus/files.json";
/// What became of every file of text: read as which domain and split, or not
/// read and why.
pub const SOURCES: &str = "corpus/sources.csv";
/// The segments of runs that change their mixture; missing where none does.
pub const SEGMENTS: &str = "design/segments.csv";
/// In the folder of a corpus: the entropies of its domains, once they were measured.
pub(crate) const ENTROPIES: &str = "entropies.json";
/// A folder per proxy.
pub const PROXIES: &str = "runs";
/// A folder per size, with a folder per proxy of that size; and the tables that laws of
/// scale are fitted to.
pub const SIZES: &str = "sizes";
/// A folder per proxy of the size of `[second_size]`.
pub const SECOND_SIZE: &str = "second";
/// Reference models and proxies of DoReMi, and the mixture they found.
pub const DOREMI: &str = "doremi";
/// Proxies of CLIMB's rounds after the first, and their mixtures.
pub const CLIMB: &str = "climb";
/// Models of single domains, by which MixMin finds a mixture, and the losses of their mixed
/// predictions.
pub const EXPERTS: &str = "experts";
/// The mixtures at which the predictions of experts are mixed.
pub const MIXED_MIXTURES: &str = "experts/mixtures.csv";
/// Losses of the proxies along training.
pub const TRAJECTORIES: &str = "trajectories.csv";
/// Everything about the fit.
pub const FIT_FOLDER: &str = "fit";
/// How accuracy grows with the number of proxies.
pub const LEARNING_CURVE: &str = "fit/learning.csv";
/// A folder per target.
pub const TARGETS: &str = "targets";
/// Targets compared with each other.
pub const CHECK: &str = "check.json";
/// Methods compared with each other.
pub const COMPARISON: &str = "compare.json";
/// The mixtures of those methods, before targets are trained on them.
pub const COMPARED_MIXTURES: &str = "compare.csv";
/// The controller of RegMix-D as published, where it is one of those methods.
pub const PUBLISHED_CONTROLLER: &str = "regmix_d.controller.json";
/// What `status` knows of runs: a cache.
pub const STATUS_CACHE: &str = ".status.json";
/// The page about the study.
pub const REPORT: &str = "report.html";
/// The number of the campaign: whether hosts see the same folder.
pub const CAMPAIGN: &str = "campaign.json";
/// Scripts and logs of workers that an engine runs.
pub const LAUNCH_FOLDER: &str = "launch";
/// The jobs that engines were given.
pub const LAUNCHED: &str = "launch/jobs.json";
/// Folders of which no step reads a file that it does not know by name: what a
/// killed process left in them can be removed.
pub(crate) const SWEPT: [&str; 11] = [
    CORPUS_FOLDER,
    "design",
    PROXIES,
    SIZES,
    SECOND_SIZE,
    DOREMI,
    CLIMB,
    EXPERTS,
    FIT_FOLDER,
    TARGETS,
    LAUNCH_FOLDER,
];
/// The text of the demo's own corpus.
pub const DEMO_TEXT: &str = "text";

/// In the folder of a run: its losses, line by line.
pub(crate) const METRICS: &str = "metrics.jsonl";
/// In the folder of a run, with its lease: what it was asked (`[eval]`).
pub(crate) const SCORES_FOLDER: &str = "eval";
/// In that folder: the scores.
pub(crate) const SCORES: &str = "scores.json";
/// In the folder of a steered run: what the controller decided.
pub(crate) const DECISIONS: &str = "decisions.json";

/// The arms of the check that the study itself has. Names of arms begin the
/// names of runs, which are folders.
pub(crate) const ARMS: [&str; 9] = [
    FOUND,
    NATURAL,
    UNIFORM,
    BEST_OBSERVED,
    OFFLINE,
    ONLINE,
    ODM,
    ADO,
    AIOLI,
];
pub(crate) const FOUND: &str = "found";
pub(crate) const NATURAL: &str = "natural";
pub(crate) const UNIFORM: &str = "uniform";
pub(crate) const BEST_OBSERVED: &str = "best_observed";
pub(crate) const OFFLINE: &str = "offline";
pub(crate) const ONLINE: &str = "online";
pub(crate) const ODM: &str = "odm";
pub(crate) const ADO: &str = "ado";
pub(crate) const AIOLI: &str = "aioli";

/// The proxy with a number, from 0 on, as [`regmix_data::design::Drawn::into_table`] names
/// it.
pub(crate) fn proxy_run(number: usize) -> String {
    format!("run-{number:04}")
}

/// The target that is trained on an arm with the seed number `k`, from 1 on.
pub(crate) fn target_run(arm: &str, k: u64) -> String {
    // Not every system takes a colon in a name.
    format!("{}-seed{k}", arm.replace(':', "-"))
}

/// The name of the order in which targets see text: the arms of a seed differ in their
/// mixtures alone.
pub(crate) const DATA_ORDER_OF_TARGETS: &str = "target";

/// The step that trains the run in a folder. Experts are made by `train` where the fit asks
/// for them; where only `compare` makes them, its errors say so.
pub(crate) fn trained_by(run: &Path) -> &'static str {
    let is_in = |name: &str| run.parent().is_some_and(|folder| folder.ends_with(name));
    match () {
        () if is_in(TARGETS) => "target",
        () if is_in(DOREMI) => "doremi",
        () if is_in(CLIMB) => "compare",
        () => "train",
    }
}

impl Artefact {
    /// An empty stamp for the artefact of the study in the folder `root`.
    pub(crate) fn stamp(&self, root: &Path) -> Stamp {
        Stamp::new(root.join(self.path), root.join(self.stamp), self.verb)
    }

    /// Whether the artefact is there without a stamp: then the user put it
    /// there.
    pub(crate) fn is_users_own(&self, root: &Path) -> bool {
        root.join(self.path).exists() && !root.join(self.stamp).exists()
    }

    /// Its path in the folder `root`, where it must be.
    ///
    /// # Errors
    /// When it is missing or was not finished; the error names the step that
    /// makes it.
    pub(crate) fn require(&self, root: &Path) -> Result<PathBuf> {
        let path = root.join(self.path);
        let problem = match path.exists() {
            false => self.missing,
            true if is_unfinished(&root.join(self.stamp)) => "the step that writes it was stopped",
            true => return Ok(path),
        };
        Err(Error::input(problem)
            .in_file(path)
            .help(format!("run `regmix {}` first", self.verb)))
    }

    /// What `load` reads of it in the folder `root`.
    ///
    /// # Errors
    /// As [`Artefact::require`], and when it is damaged; the error names the
    /// command that makes it again.
    pub(crate) fn read<T>(
        &self,
        root: &Path,
        load: impl FnOnce(PathBuf) -> Result<T>,
    ) -> Result<T> {
        load(self.require(root)?).map_err(|e| match self.is_users_own(root) {
            true => e,
            false => remade_by(self.verb, e),
        })
    }
}

impl AsRef<Path> for Artefact {
    fn as_ref(&self) -> &Path {
        self.path.as_ref()
    }
}
