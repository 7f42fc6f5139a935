//! `regmix schedule`: planned for a study or from tables.

use std::path::Path;

use regmix_data::{Result, artefact};
use regmix_dynamic::RunLength;
use regmix_study::tables::{Plan, SecondSize, plan, refuse_to_overwrite};

use crate::args::ScheduleArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &ScheduleArgs) -> Result<()> {
    match (&args.trajectories, &args.mixtures, &args.out) {
        (Some(trajectories), Some(mixtures), Some(out)) => {
            plan_from_tables(session, args, trajectories, mixtures, out)
        }
        _ => plan_of_study(session, args),
    }
}

fn plan_of_study(session: &Session<'_>, args: &ScheduleArgs) -> Result<()> {
    let study = session.open_study()?;
    let schedule = study.schedule(session.context(args.redo))?;
    session.print_result(&schedule, || show::schedule(&schedule))?;
    session.message_step(&study, "target --schedule offline --schedule online");
    Ok(())
}

fn plan_from_tables(
    session: &Session<'_>,
    args: &ScheduleArgs,
    trajectories: &Path,
    mixtures: &Path,
    out: &Path,
) -> Result<()> {
    let path = out.join("schedule.json");
    refuse_to_overwrite(&path, args.redo)?;
    session.message("planning a schedule");
    let (schedule, controller) =
        plan(trajectories, mixtures, &plan_options(args), session.display)?;
    artefact::withdraw(&path)?;
    controller.save(out.join("controller.json"))?;
    schedule.save(&path)?;
    session.print_result(&schedule, || show::schedule(&schedule))
}

fn plan_options(args: &ScheduleArgs) -> Plan<'_> {
    let second = args.second_trajectories.as_deref().zip(args.second_ratio);
    Plan {
        objective: args.objective.as_deref(),
        prior: args.prior.as_deref(),
        settings: args.settings.as_deref(),
        target: RunLength {
            // Clap requires both with `--trajectories`.
            steps: args.steps.unwrap_or_default(),
            tokens: args.tokens.unwrap_or_default(),
        },
        proxy_steps: args.proxy_steps,
        second: second.map(|(trajectories, ratio)| SecondSize {
            trajectories,
            law: args.second_law.into(),
            ratio,
            target_ratio: args.target_ratio.unwrap_or(ratio),
        }),
        seed: args.seed,
    }
}
