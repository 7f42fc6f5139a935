//! One module per verb: parse, call, print.

mod demo;
mod devices;
mod regress;
mod schedule;
mod show;
mod show_schedule;
mod study;

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use regmix_data::Result;
use regmix_dynamic::RunLength;
use regmix_regress::NextOptions;
use regmix_study::config::{EarlierSection, ScheduleMode};
use regmix_study::{Context, Plan, SecondSize, Study};

use crate::args::{Args, Command, Format, Mode};
use crate::output::progress::Display;
use crate::output::{print, print_json, say};

/// What every command is given.
pub(crate) struct Session<'a> {
    args: &'a Args,
    display: Display,
}

impl Session<'_> {
    fn context(&self, redo: bool) -> Context<'_> {
        Context {
            monitor: &self.display,
            redo,
        }
    }

    fn study(&self) -> Result<Study> {
        Study::open(&self.args.study)
    }

    /// A line on stderr, unless the user wants none.
    fn tell(&self, line: &str) {
        if !self.args.quiet {
            say(line);
        }
    }

    /// Prints a result in the form that was asked for.
    fn result(&self, value: &impl serde::Serialize, text: impl FnOnce() -> String) -> Result<()> {
        match self.args.format {
            Format::Json => print_json(value),
            Format::Table => {
                print(&text());
                Ok(())
            }
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let session = Session {
        args,
        display: Display::new(args.quiet),
    };
    match &args.command {
        Command::Demo {
            corpus,
            out,
            compute,
        } => demo::demo(&session, corpus.as_deref(), out, compute),
        Command::Init { corpus, name } => study::init(&session, corpus, name.as_deref()),
        Command::Tokenize { redo } => study::tokenize(&session, *redo),
        Command::Design {
            next,
            fit,
            objective,
            out,
            seed,
            redo,
        } => match (next, fit, out) {
            (Some(runs), Some(fit), Some(out)) => {
                let options = NextOptions {
                    runs: *runs,
                    seed: *seed,
                    ..NextOptions::default()
                };
                regress::next(&session, fit, objective.as_deref(), out, options, *redo)
            }
            (Some(runs), _, _) => study::next_design(&session, *runs, *redo),
            _ => study::design(&session, *redo),
        },
        Command::Train { compute, redo } => study::train(&session, compute, *redo),
        Command::Status => study::status(&session),
        Command::Fit {
            mixtures,
            losses,
            out,
            regressors,
            folds,
            repeats,
            earlier_mixtures,
            earlier_losses,
            split,
            learning_curve,
            seed,
            redo,
        } => match (mixtures, losses, out) {
            (Some(mixtures), Some(losses), Some(out)) => regress::fit_tables(
                &session,
                regress::Tables {
                    mixtures,
                    losses,
                    out,
                    regressors: regressors.clone(),
                    folds: *folds,
                    repeats: *repeats,
                    earlier: (earlier_mixtures.as_ref().zip(earlier_losses.as_ref())).map(
                        |(mixtures, losses)| EarlierSection {
                            mixtures: mixtures.clone(),
                            losses: losses.clone(),
                            split: split.iter().cloned().collect(),
                        },
                    ),
                    learning_curve: *learning_curve,
                    seed: *seed,
                    redo: *redo,
                },
            ),
            _ => study::fit(&session, *learning_curve, *redo),
        },
        Command::Predict {
            fit,
            mixtures,
            out,
            means_only,
            redo,
        } => match out {
            Some(out) => {
                regress::predict_into(&session, fit.as_deref(), mixtures, out, *means_only, *redo)
            }
            None => regress::predict(&session, fit.as_deref(), mixtures),
        },
        Command::Optimize {
            fit,
            objective,
            pareto,
            points,
            prior,
            method,
            out,
            seed,
            redo,
        } => match (fit, out) {
            (Some(fit), Some(out)) => {
                let request = regress::Request {
                    fit,
                    objective: objective.as_deref(),
                    pareto: pareto.as_ref().map(|ends| (ends, *points)),
                    prior: prior.as_deref(),
                    method: *method,
                    out,
                    seed: *seed,
                    redo: *redo,
                };
                regress::optimize(&session, &request)
            }
            _ => study::optimize(&session, *redo),
        },
        Command::Schedule {
            trajectories,
            mixtures,
            steps,
            tokens,
            objective,
            prior,
            settings,
            proxy_steps,
            second_trajectories,
            second_law,
            second_ratio,
            target_ratio,
            export,
            out,
            seed,
            redo,
        } => match (trajectories, mixtures, steps, tokens, out, export) {
            (Some(trajectories), Some(mixtures), Some(steps), Some(tokens), Some(out), _) => {
                let plan = Plan {
                    objective: objective.as_deref(),
                    prior: prior.as_deref(),
                    settings: settings.as_deref(),
                    target: RunLength {
                        steps: *steps,
                        tokens: *tokens,
                    },
                    proxy_steps: *proxy_steps,
                    second: second_trajectories.as_deref().zip(*second_ratio).map(
                        |(trajectories, ratio)| SecondSize {
                            trajectories,
                            law: second_law.law(),
                            ratio,
                            target_ratio: target_ratio.unwrap_or(ratio),
                        },
                    ),
                    seed: *seed,
                };
                let tables = schedule::Tables {
                    trajectories,
                    mixtures,
                    out,
                    plan,
                    redo: *redo,
                };
                schedule::of_tables(&session, &tables)
            }
            (.., Some(trainer)) => schedule::export(&session, *trainer, out.as_deref(), *redo),
            _ => schedule::of_study(&session, *redo),
        },
        Command::Online {
            controller,
            state,
            listen,
            token_file,
        } => {
            let asked = schedule::Asked {
                controller: controller.as_deref(),
                state: state.as_deref(),
                listen: listen.as_deref(),
                token_file: token_file.as_deref(),
            };
            schedule::online(&session, &asked)
        }
        Command::Target {
            compute,
            schedule,
            redo,
            gate,
        } => {
            let schedules: Vec<ScheduleMode> = (schedule.iter())
                .map(|mode| match mode {
                    Mode::Offline => ScheduleMode::Offline,
                    Mode::Online => ScheduleMode::Online,
                })
                .collect();
            study::target(&session, compute, &schedules, *redo, *gate)
        }
        Command::Report => study::report(&session),
        Command::Devices { no_measure } => devices::devices(&session, !no_measure),
        Command::Completions { shell } => {
            let mut command = Args::command();
            let mut text = Vec::new();
            clap_complete::generate(*shell, &mut command, "regmix", &mut text);
            print(&String::from_utf8_lossy(&text));
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// A command of a study, with its folder where that is not the current one.
fn command(study: &Path, verb: &str) -> String {
    if study == Path::new(".") {
        format!("regmix {verb}")
    } else {
        format!("regmix -C {} {verb}", study.display())
    }
}
