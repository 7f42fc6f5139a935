//! Metrics of the runs that this process trains, in Prometheus' text format.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use regmix_data::RunEvent;

/// What the speed is averaged over.
const WINDOW: Duration = Duration::from_secs(30);

/// Counts what happens to runs.
#[derive(Debug)]
pub(crate) struct RunMetrics(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<String, Run>,
    tokens: u64,
    evaluations: u64,
    fallbacks: u64,
    /// Tokens up to some moments of the window, a second or more apart.
    samples: VecDeque<(Instant, u64)>,
}

#[derive(Debug)]
enum Run {
    Waiting,
    Running(Box<Progress>),
    Stopped,
    Failed,
    Done,
}

#[derive(Debug)]
struct Progress {
    device: String,
    step: u64,
    steps: u64,
    loss: Option<f64>,
    train_loss: Option<f64>,
    /// When losses were measured last, or training began.
    evaluated: Instant,
    /// When a checkpoint was written last, or training began.
    saved: Instant,
}

impl RunMetrics {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(State::default()))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event at this moment.
    pub(crate) fn observe(&self, run: &str, event: &RunEvent<'_>) {
        self.lock().observe(run, event, Instant::now());
    }

    /// All metrics at this moment.
    pub(crate) fn text(&self) -> String {
        self.lock().text(Instant::now())
    }
}

impl State {
    fn observe(&mut self, run: &str, event: &RunEvent<'_>, now: Instant) {
        let new = match *event {
            RunEvent::Planned => Run::Waiting,
            RunEvent::Started {
                device,
                from,
                steps,
                ..
            } => Run::Running(Box::new(Progress {
                device: device.to_owned(),
                step: from,
                steps,
                loss: None,
                train_loss: None,
                evaluated: now,
                saved: now,
            })),
            RunEvent::Stopped { .. } => Run::Stopped,
            RunEvent::Failed { .. } => Run::Failed,
            RunEvent::Finished => Run::Done,
            RunEvent::FellBack { .. } => {
                self.fallbacks += 1;
                return;
            }
            RunEvent::Step { step, tokens } => {
                self.tokens += tokens;
                self.sample(now);
                return self.update(run, |p| p.step = step);
            }
            RunEvent::Evaluated(e) => {
                self.evaluations += 1;
                return self.update(run, |p| {
                    p.loss = Some(e.mean_loss());
                    p.train_loss = Some(e.train_loss);
                    p.evaluated = now;
                });
            }
            RunEvent::Saved { .. } => return self.update(run, |p| p.saved = now),
            _ => return,
        };
        self.runs.insert(run.to_owned(), new);
    }

    fn update(&mut self, run: &str, change: impl FnOnce(&mut Progress)) {
        if let Some(Run::Running(progress)) = self.runs.get_mut(run) {
            change(progress);
        }
    }

    fn sample(&mut self, now: Instant) {
        let due = (self.samples.back())
            .is_none_or(|(at, _)| now.duration_since(*at) >= Duration::from_secs(1));
        if due {
            self.samples.push_back((now, self.tokens));
        }
        // One before the window stays, so that the rate covers all of it.
        while self.samples.len() > 2 && now.duration_since(self.samples[1].0) > WINDOW {
            self.samples.pop_front();
        }
    }

    fn tokens_per_second(&self, now: Instant) -> f64 {
        match self.samples.front() {
            Some((at, tokens)) if now > *at => {
                (self.tokens - tokens) as f64 / now.duration_since(*at).as_secs_f64()
            }
            _ => 0.0,
        }
    }

    fn text(&self, now: Instant) -> String {
        let mut out = Exposition::default();
        out.family("regmix_info", "gauge", "The version of regmix.");
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        out.sample("regmix_info", &version, 1.0);
        out.family(
            "regmix_runs",
            "gauge",
            "Runs of this process by state: those that it trains now, and those that were over.",
        );
        for state in ["waiting", "running", "stopped", "failed", "done"] {
            let n = self.runs.values().filter(|run| run.state() == state);
            out.sample("regmix_runs", &[("state", state)], n.count() as f64);
        }
        for (name, help, n) in [
            (
                "regmix_tokens_total",
                "Tokens that this process has trained on.",
                self.tokens,
            ),
            (
                "regmix_evaluations_total",
                "Evaluations that this process has made.",
                self.evaluations,
            ),
            (
                "regmix_fallbacks_total",
                "Runs that went back to a checkpoint and on in f32.",
                self.fallbacks,
            ),
        ] {
            out.family(name, "counter", help);
            out.sample(name, &[], n as f64);
        }
        out.family(
            "regmix_tokens_per_second",
            "gauge",
            "Tokens per second over the last 30 seconds, all runs together.",
        );
        out.sample("regmix_tokens_per_second", &[], self.tokens_per_second(now));
        self.running(&mut out, now);
        out.0
    }

    /// The metrics of each run that is being trained.
    fn running(&self, out: &mut Exposition, now: Instant) {
        let since = |at: Instant| Some(now.saturating_duration_since(at).as_secs_f64());
        type Value<'a> = &'a dyn Fn(&Progress) -> Option<f64>;
        let families: [(&str, &str, Value<'_>); 6] = [
            ("regmix_run_step", "Steps made.", &|p| Some(p.step as f64)),
            ("regmix_run_steps", "Steps of the whole run.", &|p| {
                Some(p.steps as f64)
            }),
            (
                "regmix_run_loss_mean",
                "Mean validation loss over domains, in nats per token.",
                &|p| p.loss,
            ),
            (
                "regmix_run_train_loss",
                "Loss of the last training batch at the last evaluation, in nats per token.",
                &|p| p.train_loss,
            ),
            (
                "regmix_run_seconds_since_evaluation",
                "Seconds since the last evaluation, or since training began.",
                &|p| since(p.evaluated),
            ),
            (
                "regmix_run_seconds_since_checkpoint",
                "Seconds since the last checkpoint, or since training began.",
                &|p| since(p.saved),
            ),
        ];
        for (name, help, value) in families {
            out.family(name, "gauge", help);
            for (run, state) in &self.runs {
                if let Run::Running(progress) = state
                    && let Some(x) = value(progress)
                {
                    let labels = [("run", run.as_str()), ("device", &progress.device)];
                    out.sample(name, &labels, x);
                }
            }
        }
    }
}

impl Run {
    fn state(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running(_) => "running",
            Self::Stopped => "stopped",
            Self::Failed => "failed",
            Self::Done => "done",
        }
    }
}

/// Prometheus' text format, version 0.0.4.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    /// The head of the samples of a name.
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = (labels.iter())
            .map(|(key, text)| format!("{key}=\"{}\"", escaped(text)))
            .collect();
        let labels = match labels.is_empty() {
            true => String::new(),
            false => format!("{{{}}}", labels.join(",")),
        };
        let value = match value {
            x if x.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "+Inf".to_owned(),
            f64::NEG_INFINITY => "-Inf".to_owned(),
            x => x.to_string(),
        };
        writeln!(self.0, "{name}{labels} {value}").ok();
    }
}

fn escaped(text: &str) -> String {
    (text.replace('\\', r"\\"))
        .replace('"', "\\\"")
        .replace('\n', r"\n")
}

#[cfg(test)]
mod tests {
    use regmix_data::Evaluation;

    use super::*;

    #[test]
    fn runs_are_counted_and_the_speed_is_that_of_the_window() {
        let mut state = State::default();
        let begin = Instant::now();
        let at = |seconds: u64| begin + Duration::from_secs(seconds);
        for run in ["a", "b", "c"] {
            state.observe(run, &RunEvent::Planned, at(0));
        }
        state.observe("c", &RunEvent::Finished, at(0));
        let started = RunEvent::Started {
            folder: std::path::Path::new("a"),
            device: "cpu\"\\\n",
            from: 10,
            steps: 200,
        };
        state.observe("a", &started, at(0));
        // 100 tokens a second for 60 s, then 10 a second.
        for second in 1..=100 {
            let tokens = if second <= 60 { 100 } else { 10 };
            let step = 10 + second;
            state.observe("a", &RunEvent::Step { step, tokens }, at(second));
        }
        let loss = BTreeMap::from([("x".to_owned(), 2.0), ("y".to_owned(), 3.0)]);
        let evaluation = Evaluation {
            step: 110,
            tokens: 6400,
            loss: &loss,
            bits_per_byte: &loss,
            train_loss: f64::NAN,
            gradient_norm: 1.0,
            lr: 0.1,
            seconds: 1.0,
            train_seconds: 1.0,
        };
        state.observe("a", &RunEvent::Evaluated(evaluation), at(90));
        let text = state.text(at(100));
        for line in [
            "regmix_runs{state=\"waiting\"} 1",
            "regmix_runs{state=\"running\"} 1",
            "regmix_runs{state=\"done\"} 1",
            "regmix_runs{state=\"failed\"} 0",
            "regmix_tokens_total 6400",
            "regmix_tokens_per_second 10",
            "regmix_run_step{run=\"a\",device=\"cpu\\\"\\\\\\n\"} 110",
            "regmix_run_loss_mean{run=\"a\",device=\"cpu\\\"\\\\\\n\"} 2.5",
            "regmix_run_train_loss{run=\"a\",device=\"cpu\\\"\\\\\\n\"} NaN",
            "regmix_run_seconds_since_evaluation{run=\"a\",device=\"cpu\\\"\\\\\\n\"} 10",
            "regmix_run_seconds_since_checkpoint{run=\"a\",device=\"cpu\\\"\\\\\\n\"} 100",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
        state.observe("a", &RunEvent::Failed { reason: "x" }, at(101));
        let text = state.text(at(101));
        assert!(text.contains("regmix_runs{state=\"failed\"} 1"), "{text}");
        assert!(!text.contains("regmix_run_step{"), "{text}");
    }
}
