//! `regmix optimize`: the best mixture of a study, of a fit, or all mixtures
//! between the best for two objectives.

use std::path::Path;

use regmix_data::Result;
use regmix_data::artefact::write_atomic;
use regmix_regress::scale::ScaleFit;
use regmix_regress::{Fit, RecommendOptions};
use regmix_study::tables::{optimize, optimize_scale, pareto, prior_of, refuse_to_overwrite};

use crate::args::OptimizeArgs;
use crate::session::Session;
use crate::show;

pub(super) fn run(session: &Session<'_>, args: &OptimizeArgs) -> Result<()> {
    match (&args.fit, &args.out) {
        (Some(fit), Some(out)) if args.parameters.is_some() => optimize_at(session, args, fit, out),
        (Some(fit), Some(out)) => optimize_fit(session, args, fit, out),
        _ if args.at_target || args.parameters.is_some() => optimize_study_at(session, args),
        _ => optimize_study(session, args),
    }
}

fn optimize_study(session: &Session<'_>, args: &OptimizeArgs) -> Result<()> {
    let study = session.open_study()?;
    let found = study.optimize(session.context(args.redo))?;
    session.print_result(&found, || show::mixture(&found))?;
    session.message_next(&study)
}

/// The best mixture at a size and length, by the laws of scale of a study.
fn optimize_study_at(session: &Session<'_>, args: &OptimizeArgs) -> Result<()> {
    if let Some(out) = &args.out {
        refuse_to_overwrite(out, args.redo)?;
    }
    let study = session.open_study()?;
    let found = study.optimum_at(args.parameters, args.tokens, session.context(false))?;
    if let Some(out) = &args.out {
        found.save(out)?;
    }
    session.print_result(&found, || show::scale_optimum(&found))
}

fn optimize_fit(session: &Session<'_>, args: &OptimizeArgs, fit: &Path, out: &Path) -> Result<()> {
    let mut fit = Fit::load(fit)?;
    refuse_to_overwrite(out, args.redo)?;
    if let Some(prior) = &args.prior {
        let natural = prior_of(prior, fit.domains(), session.display)?;
        fit = fit.with_natural(&natural)?;
    }
    let options = RecommendOptions {
        method: args.method.into(),
        seed: args.seed,
        ..RecommendOptions::default()
    };
    if let Some(ends) = &args.pareto {
        return search_front(session, args, &fit, ends, out, options);
    }
    let objective = args.objective.as_deref().unwrap_or("mean");
    let found = optimize(&fit, objective, options, session.display)?;
    found.save(out)?;
    session.print_result(&found, || show::mixture(&found))
}

/// The best mixture at a size and length, by laws of scale.
fn optimize_at(session: &Session<'_>, args: &OptimizeArgs, fit: &Path, out: &Path) -> Result<()> {
    let (Some(parameters), Some(tokens)) = (args.parameters, args.tokens) else {
        return optimize_fit(session, args, fit, out);
    };
    let fit = ScaleFit::load(fit)?;
    refuse_to_overwrite(out, args.redo)?;
    let natural = (args.prior.as_deref())
        .map(|prior| prior_of(prior, fit.domains(), session.display))
        .transpose()?;
    let objective = args.objective.as_deref().unwrap_or("mean");
    let at = (parameters, tokens);
    let found = optimize_scale(&fit, objective, natural, at, session.display)?;
    found.save(out)?;
    session.print_result(&found, || show::scale_optimum(&found))
}

fn search_front(
    session: &Session<'_>,
    args: &OptimizeArgs,
    fit: &Fit,
    ends: &[String; 2],
    out: &Path,
    options: RecommendOptions,
) -> Result<()> {
    let [a, b] = ends;
    let limits = args.objective.as_deref();
    let found = pareto(fit, [a, b], args.points, limits, options, session.display)?;
    write_atomic(out, found.to_csv().as_bytes())?;
    session.print_result(&found, || show::front(&found))
}
