//! Accuracies of finished runs on the questions of `[eval]`.

use std::path::{Path, PathBuf};

use regmix_data::held_out::HeldOut;
use regmix_data::table::ValueTable;
use regmix_data::tasks::Shots;
use regmix_data::tokenizer::Tokenizer;
use regmix_data::{Error, Result, TokenCorpus, Unit, artefact};
use regmix_model::{Device, Job, RunStatus, Shared, TrainedModel, default_parallel, share_out};

use super::runs::Compute;
use crate::config::{EvalSection, HeldOutSection, ScoreName, TaskSection};
use crate::eval::record::RunScores;
use crate::eval::{Accuracy, Asked, HELD_OUT, TaskFile, TaskScore};
use crate::files;
use crate::stamp::digest;
use crate::study::{Context, Study};

/// The questions of a study, and the targets that they give.
pub(super) struct Questions {
    sets: Vec<QuestionSet>,
}

/// Questions that are asked together.
struct QuestionSet {
    source: Source,
    /// A digest of everything that their scores depend on besides the model.
    key: String,
    /// The same in words, for a reader of the scores.
    words: String,
    columns: Vec<Column>,
}

enum Source {
    HeldOut(HeldOut, u64),
    Task(TaskFile, Option<usize>),
}

/// A target of the fit.
struct Column {
    target: String,
    /// The name of the score that it is.
    task: String,
    by: ScoreName,
}

impl Questions {
    /// What `[eval]` asks; `None` without that section.
    ///
    /// # Errors
    /// When a file cannot be read, or a target would have the name of a domain.
    pub(super) fn of(study: &Study, corpus: &TokenCorpus) -> Result<Option<Self>> {
        let Some(eval) = &study.config().eval else {
            return Ok(None);
        };
        let mut sets = Vec::new();
        if let Some(section) = &eval.held_out {
            sets.push(QuestionSet::held_out(section, corpus));
        }
        for (name, section) in &eval.tasks {
            let set = QuestionSet::task(study, eval, (name, section), corpus);
            sets.push(set.map_err(|e| match e.line_number() {
                Some(_) => e,
                None => study.place(e.field(name), "eval.tasks"),
            })?);
        }
        let all = Self { sets };
        for target in all.targets() {
            if corpus.domains().position(&target).is_some() {
                let e = Error::input(format!(
                    "`{target}` is a domain of the corpus, whose loss has that name"
                ));
                let e = e.help("give the task another name");
                return Err(study.place(e.field(&target), "eval.tasks"));
            }
        }
        Ok(Some(all))
    }

    /// The names of the targets.
    pub(super) fn targets(&self) -> Vec<String> {
        let columns = self.sets.iter().flat_map(|set| &set.columns);
        columns.map(|column| column.target.clone()).collect()
    }

    /// A digest of all questions.
    pub(super) fn digest(&self) -> String {
        let keys: Vec<&str> = self.sets.iter().map(|set| set.key.as_str()).collect();
        digest(keys.join(" ") + &self.targets().join(" "))
    }

    /// The accuracies of a run in the order of the targets; `None` where it was not asked
    /// all questions.
    pub(super) fn accuracies(&self, folder: &Path) -> Result<Option<Vec<Accuracy>>> {
        let known = RunScores::read(folder)?;
        let mut out = Vec::new();
        for set in &self.sets {
            let Some(scores) = known.get(&set.key) else {
                return Ok(None);
            };
            for column in &set.columns {
                out.push(column.of(scores).map_err(|e| e.in_file(folder))?);
            }
        }
        Ok(Some(out))
    }

    /// How many runs were asked all questions.
    pub(super) fn count(&self, folders: impl Iterator<Item = PathBuf>) -> Result<usize> {
        let mut count = 0;
        for folder in folders {
            count += usize::from(self.accuracies(&folder)?.is_some());
        }
        Ok(count)
    }

    /// The accuracies of runs in a folder and their standard errors.
    ///
    /// # Errors
    /// When a run was not asked all questions.
    pub(super) fn tables(
        &self,
        folder: &Path,
        runs: &[String],
    ) -> Result<(ValueTable, ValueTable)> {
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for run in runs {
            if let Some(own) = self.accuracies(&folder.join(run))? {
                values.push((run.clone(), own.iter().map(|a| a.value).collect()));
                let own = own.iter().map(|a| a.stderr.unwrap_or(f64::NAN));
                errors.push((run.clone(), own.collect()));
            }
        }
        let missing = runs.len() - values.len();
        if missing > 0 {
            return Err(Error::input(format!(
                "{missing} of {} finished runs were not asked the questions of [eval]",
                runs.len()
            ))
            .in_file(folder)
            .help(format!(
                "run `regmix {}`: it asks them, and trains nothing that is finished",
                files::trained_by(&folder.join("run"))
            )));
        }
        let table = |rows: Vec<(String, Vec<f64>)>| ValueTable::new(self.targets(), rows);
        Ok((table(values)?, table(errors)?))
    }
}

/// The contents of a file that the key `field` names.
fn read_rows(path: &Path, field: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            Error::input(format!("there is no file {}", path.display()))
                .help(format!("`{field}` is relative to the study"))
        }
        _ => Error::io(path, e),
    })
}

impl QuestionSet {
    fn new(source: Source, words: String, of: &str, columns: Vec<Column>) -> Self {
        Self {
            source,
            key: digest(format!("{words} {of}")),
            words,
            columns,
        }
    }

    fn held_out(section: &HeldOutSection, corpus: &TokenCorpus) -> Self {
        let column = |name: String| Column {
            target: name.clone(),
            task: name,
            by: ScoreName::Acc,
        };
        let domains = corpus.domains().names().filter(|_| section.per_domain);
        let domains = domains.map(|domain| column(format!("{HELD_OUT}/{domain}")));
        let words = format!(
            "held-out text: {} questions, context {}, continuation {}, seed {}",
            section.questions, section.context, section.continuation, section.seed
        );
        let columns = std::iter::once(column(HELD_OUT.to_owned())).chain(domains);
        let source = Source::HeldOut(section.questions(), section.seed);
        Self::new(source, words, corpus.fingerprint(), columns.collect())
    }

    fn task(
        study: &Study,
        eval: &EvalSection,
        (name, section): (&str, &TaskSection),
        corpus: &TokenCorpus,
    ) -> Result<Self> {
        let task = section.task;
        let by = section.score.unwrap_or(match task.is_normalized() {
            true => ScoreName::AccNorm,
            false => ScoreName::Acc,
        });
        if by != ScoreName::Acc && !task.is_normalized() {
            return Err(Error::input(format!(
                "`{task}` has one accuracy: expected score = \"acc\", or none"
            )));
        }
        let path = study.resolve(&section.path);
        let bytes = read_rows(&path, "path")?;
        let mut words = match eval.limit {
            Some(limit) => format!("{task}: the first {limit} questions of {}", digest(bytes)),
            None => format!("{task}: all questions of {}", digest(bytes)),
        };
        let mut shots = None;
        if let Some(count) = eval.shots.filter(|count| *count > 0) {
            let examples = section.examples.as_ref().map(|file| study.resolve(file));
            words += &format!(", {count} examples");
            if let Some(file) = &examples {
                words += &format!(" of {}", digest(read_rows(file, "examples")?));
            }
            let seed = Shots::SEED;
            shots = Some(Shots {
                count,
                examples,
                seed,
            });
        }
        let column = Column {
            target: name.to_owned(),
            task: task.to_string(),
            by,
        };
        let source = Source::Task(TaskFile { task, path, shots }, eval.limit);
        let tokenizer = &corpus.manifest().tokenizer.hash;
        Ok(Self::new(source, words, tokenizer, vec![column]))
    }

    /// The questions in tokens.
    fn read(&self, corpus: &TokenCorpus, tokenizer: &Tokenizer) -> Result<Vec<Asked>> {
        match &self.source {
            Source::HeldOut(held_out, seed) => Asked::held_out(corpus, held_out, *seed),
            Source::Task(file, limit) => Ok(vec![Asked::task(tokenizer, file, *limit)?]),
        }
    }
}

impl Column {
    fn of(&self, scores: &[TaskScore]) -> Result<Accuracy> {
        let score = scores.iter().find(|score| score.task == self.task);
        let found = score.and_then(|score| match self.by {
            ScoreName::Acc => Some(score.acc),
            ScoreName::AccNorm => score.acc_norm,
            ScoreName::AccBytes => score.acc_bytes,
        });
        found.ok_or_else(|| {
            Error::input(format!("no score for `{}`", self.target))
                .help("remove `eval` in this folder, and run `regmix train`")
        })
    }
}

/// Questions that are ready to be asked.
pub(super) struct Ready {
    /// Every set with its questions in tokens.
    sets: Vec<(QuestionSet, Vec<Asked>)>,
}

impl Ready {
    /// Reads the questions of a study; `None` without `[eval]`. Before runs are trained, so
    /// that a mistake in them costs no training.
    ///
    /// # Errors
    /// As [`Questions::of`], and when questions cannot be made or read.
    pub(super) fn of(study: &Study, corpus: &TokenCorpus) -> Result<Option<Self>> {
        let Some(questions) = Questions::of(study, corpus)? else {
            return Ok(None);
        };
        let tokenizer = Tokenizer::of_corpus(corpus.folder())?;
        let sets = questions.sets.into_iter().map(|set| {
            let asked = set.read(corpus, &tokenizer).map_err(|e| match e.path() {
                Some(_) => e,
                None => study.place(e, "eval.held_out"),
            });
            Ok((set, asked?))
        });
        Ok(Some(Self {
            sets: sets.collect::<Result<_>>()?,
        }))
    }

    /// Asks the finished runs among `jobs` what they were not asked yet. Workers share this
    /// out as they do the training.
    ///
    /// # Errors
    /// When the weights of a run are not there, a file cannot be read or written, the device
    /// fails, or the user stops it: what is answered is kept.
    pub(super) fn ask(
        &self,
        what: &str,
        jobs: &[(&Job, &RunStatus)],
        compute: Compute<'_>,
        cx: Context<'_>,
    ) -> Result<()> {
        let own = jobs.iter().enumerate().filter(|(place, (_, status))| {
            matches!(status, RunStatus::Done(_)) && compute.options.takes(*place)
        });
        let exams: Vec<Exam<'_>> = own
            .map(|(_, (job, _))| Exam::new(job, self))
            .collect::<Result<_>>()?;
        let Some(runs) = exams.first().and_then(|exam| exam.job.folder.parent()) else {
            return Ok(());
        };
        let total: u64 = exams.iter().map(Exam::size).sum();
        if total == 0 {
            return Ok(());
        }
        // The models of a folder have one size.
        let context = exams[0].job.spec.model.context;
        let asked = self.sets.iter().flat_map(|(_, asked)| asked);
        for line in asked.flat_map(|task| task.unseen_in_words(context)) {
            cx.monitor.message(&line);
        }
        let _shared = artefact::share_folder(runs, "the runs of this folder are being moved away")?;
        let parallel = match compute.options.parallel {
            0 => {
                let own: Vec<Job> = exams.iter().map(|exam| exam.job.clone()).collect();
                default_parallel(compute.device, &own)
            }
            given => given,
        };
        cx.monitor.begin(what, total, Unit::Items);
        let answer = |exam: &Exam<'_>, card: &Device| exam.answer(card, cx);
        let sharing = compute.options.sharing;
        let result = share_out(
            &exams,
            compute.device,
            parallel,
            sharing,
            cx.monitor,
            &answer,
        );
        cx.monitor.end();
        result.map(|_| ())
    }
}

/// A run and the questions.
struct Exam<'a> {
    job: &'a Job,
    ready: &'a Ready,
    /// Where the scores and the lease lie.
    folder: PathBuf,
    /// Continuations to be scored.
    size: u64,
}

impl<'a> Exam<'a> {
    fn new(job: &'a Job, ready: &'a Ready) -> Result<Self> {
        let known = RunScores::read(&job.folder)?;
        let open = ready
            .sets
            .iter()
            .filter(|(set, _)| known.get(&set.key).is_none());
        Ok(Self {
            job,
            ready,
            folder: job.folder.join(files::SCORES_FOLDER),
            size: (open.flat_map(|(_, asked)| asked))
                .map(|task| task.size(job.spec.model.context))
                .sum(),
        })
    }

    fn answer(&self, device: &Device, cx: Context<'_>) -> Result<()> {
        let folder = &self.job.folder;
        let mut known = RunScores::read(folder)?;
        let model = TrainedModel::of_run(folder).map_err(|e| match e.help_text() {
            Some(_) if e.is_input() => e.help(format!(
                "its weights are needed for questions that it was not asked yet: `regmix retry \
                 {}`, then `regmix {}`",
                self.job.spec.run,
                files::trained_by(folder)
            )),
            _ => e,
        })?;
        for (set, asked) in &self.ready.sets {
            if known.get(&set.key).is_some() {
                continue;
            }
            let scores = crate::eval::scores(asked, &model, device, cx.monitor, &mut |_| {})?;
            known.model = model.digest().to_owned();
            known.add(&set.key, &set.words, scores);
            // A run that is stopped keeps what it has answered.
            known.write(folder)?;
        }
        Ok(())
    }
}

impl Shared for Exam<'_> {
    type Outcome = ();

    fn name(&self) -> &str {
        &self.job.spec.run
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn ended(&self) -> Result<Option<()>> {
        let known = RunScores::read(&self.job.folder)?;
        let all = self.ready.sets.iter();
        let mut all = all.map(|(set, _)| known.get(&set.key).is_some());
        Ok(all.all(|known| known).then_some(()))
    }
}
