//! Errors and warnings about runs that leave something open.

use super::*;

#[test]
fn sizes_without_a_common_mixture_are_refused() {
    let all = simulated(&[1e8, 2e8], &LENGTHS, 0.001);
    let apart = all
        .filtered(|r, _| (r.parameters == 1e8) == (r.weights[0] > 0.3))
        .unwrap();
    let err = ScaleFit::train(&apart, &ScaleOptions::default()).unwrap_err();
    assert_eq!(
        err.to_string(),
        "2 sizes, and no mixture was trained at two of them"
    );
}

#[test]
fn losses_that_rise_along_a_run_are_named() {
    let mut runs = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.001).runs().to_vec();
    for value in &mut runs[7].points[3].values {
        *value *= 1.06;
    }
    let all = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.001);
    let runs = ScaleRuns::new(all.domains().clone(), all.targets().to_vec(), runs).unwrap();
    let fit = ScaleFit::train(&runs, &ScaleOptions::default()).unwrap();
    assert_eq!(
        fit.warnings(),
        [
            "in 1 run the losses of most targets rise by more than 2 % from one point to the next \
          (first: `50000000-7` from 8e9 to 1.2e10 tokens), as after a restart of the learning \
          rate; laws only fall with tokens, so that such points count as noise"
        ]
    );
}

#[test]
fn parameters_that_few_points_do_not_determine_are_named() {
    let all = simulated(&[1e8, 2e8], &[1e10], 0.001);
    let few = all.filtered(|r, _| r.weights[0] == 0.0).unwrap();
    let fit = ScaleFit::train(&few, &ScaleOptions::default()).unwrap();
    let warnings = fit.warnings().join("\n");
    assert!(
        warnings.contains("`t[a]` of `additive` is not determined by the runs of any target"),
        "{warnings}"
    );
}

/// The same runs with other sizes, lengths or weights.
fn changed(runs: &ScaleRuns, change: impl Fn(&mut ScaleRun)) -> ScaleRuns {
    let mut all = runs.runs().to_vec();
    all.iter_mut().for_each(change);
    ScaleRuns::new(runs.domains().clone(), runs.targets().to_vec(), all).unwrap()
}

fn warnings_of(runs: &ScaleRuns) -> String {
    let fit = ScaleFit::train(runs, &ScaleOptions::default()).unwrap();
    fit.warnings().join("\n")
}

#[test]
fn fewer_points_than_parameters_name_the_parameters() {
    let all = simulated(&[1e8, 2e8], &[1e10], 0.001);
    // Two mixtures at two sizes: 4 points, and laws of 8 to 11 parameters.
    let few = all
        .filtered(|r, _| r.weights[0] == 1.0 || r.weights[1] == 1.0)
        .unwrap();
    let options = ScaleOptions {
        laws: vec![LawName::Additive],
        ..ScaleOptions::default()
    };
    let fit = ScaleFit::train(&few, &options).unwrap();
    let text = fit.warnings().join("\n");
    assert!(
        text.contains("`a` of `additive` has 4 measurements, and the law 8 parameters: "),
        "{text}"
    );
    assert!(text.contains("`t[c]`") && text.contains("`b`"), "{text}");
    // What was judged without a rank is written and read.
    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    assert!(
        ScaleFit::load(dir.path()).unwrap().judged()[0]
            .spearman
            .is_nan()
    );
}

#[test]
fn units_without_sense_are_noticed() {
    let all = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.003);
    let some = changed(&all, |run| {
        if run.parameters == 5e7 {
            run.parameters = 5e4;
        }
    });
    let text = warnings_of(&some);
    assert!(
        text.contains(
            "the sizes reach from 5e4 to 2e8 parameters: are all of them counted one by one?"
        ),
        "{text}"
    );
    let thousands = changed(&all, |run| run.parameters /= 1000.0);
    let text = warnings_of(&thousands);
    assert!(
        text.contains("has 5e4 parameters and 320000 tokens for each"),
        "{text}"
    );
    let steps = changed(&all, |run| {
        run.points.iter_mut().for_each(|p| p.tokens /= 1e9);
    });
    let err = ScaleFit::train(&steps, &ScaleOptions::default()).unwrap_err();
    assert_eq!(
        err.to_string(),
        "`tokens`: the longest run, `200000000-14`, has 16 tokens for 2e8 parameters: expected \
         tokens such as 46e9"
    );
}

#[test]
fn shares_that_never_vary_are_named() {
    let all = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.003);
    let fixed = all.filtered(|r, _| r.weights[2] == 0.25).unwrap();
    let text = warnings_of(&fixed);
    assert!(
        text.contains("the share of c is the same in all runs: what another share does"),
        "{text}"
    );
    let one = all.filtered(|r, _| r.weights == [0.5, 0.25, 0.25]).unwrap();
    let text = warnings_of(&one);
    assert!(text.contains("all runs have one mixture"), "{text}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let runs = simulated(&[5e7, 1e8, 2e8], &LENGTHS, 0.003);
    let options = ScaleOptions {
        laws: vec![LawName::Additive],
        ..ScaleOptions::default()
    };
    let fit = ScaleFit::train(&runs, &options).unwrap();
    let text = |n, d| fit.check_setting(n, d).unwrap_err().to_string();
    assert_eq!(
        text(4e8, 1e300),
        "`--tokens`: 1e300: expected less than 1e18"
    );
    assert_eq!(
        text(4e7, 1e10),
        "`--parameters`: 40000000: expected at least 5e7, the size of the smallest run"
    );
    assert_eq!(
        text(4e8, 46.0),
        "`--tokens`: 46: expected at least 8e9, half of the length of the shortest run"
    );
    let far = fit.check_setting(2e9, 1.6e11).unwrap();
    assert!(far[0].starts_with("10.0 times the largest size"), "{far:?}");
    assert!(
        far[1].starts_with("10.0 times the greatest length"),
        "{far:?}"
    );
}
