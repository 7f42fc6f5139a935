//! Fitting the tables of the RegMix paper, where they are.

use std::path::{Path, PathBuf};

use crate::fixture::Fixture;

/// Files under `$REGMIX_SHARED/data`, or under `data` in a folder `shared` beside
/// the workspace; nothing, and a line that says so, where one is missing.
#[allow(clippy::print_stderr)] // A skipped test says so.
pub(crate) fn shared<const N: usize>(names: [&str; N]) -> Option<[String; N]> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let root = std::env::var_os("REGMIX_SHARED").map_or(beside, PathBuf::from);
    let paths = names.map(|name| root.join("data").join(name));
    if paths.iter().all(|path| path.exists()) {
        return Some(paths.map(|path| path.to_str().unwrap().to_owned()));
    }
    eprintln!("skipped: no published tables; set REGMIX_SHARED to the folder that holds data/");
    None
}

#[test]
fn the_published_tables_are_fitted_predicted_and_searched() {
    let Some([mixtures, losses]) = shared([
        "regmix-tables/train_mixture_1m.csv",
        "regmix-tables/train_pile_loss_1m.csv",
    ]) else {
        return;
    };
    let fixture = Fixture::empty();
    let league = fixture.ok(&[
        "-q",
        "--format",
        "json",
        "fit",
        "--mixtures",
        &mixtures,
        "--losses",
        &losses,
        "--out",
        "fit",
        "--regressors",
        "linear,law1",
    ]);
    let league = league.json();
    let chosen = |name: &str| {
        let entries = league.as_array().unwrap().iter();
        entries
            .filter(|e| e["chosen"] == true && e["regressor"] == name)
            .count()
    };
    let targets = chosen("law1") + chosen("linear") + chosen("mean");
    assert!(targets >= 10, "{targets} targets");
    // The law is the true form of these losses, more often than not.
    assert!(
        2 * chosen("law1") > targets,
        "law1 for {} of {targets}",
        chosen("law1")
    );

    fixture.ok(&[
        "predict",
        "--fit",
        "fit",
        "--mixtures",
        &mixtures,
        "--out",
        "p.csv",
    ]);
    let predicted = fixture.text("p.csv");
    let header: Vec<&str> = predicted.lines().next().unwrap().split(',').collect();
    assert_eq!(header.len(), 1 + 2 * targets);
    for pair in header[1..].chunks(2) {
        assert_eq!(format!("{}_sd", pair[0]), pair[1]);
    }
    let rows = std::fs::read_to_string(&mixtures)
        .unwrap()
        .trim_end()
        .lines()
        .count();
    assert_eq!(predicted.lines().count(), rows);

    // Means alone are the same, without the other columns.
    let means = [
        "--mixtures",
        &mixtures,
        "--means-only",
        "--out",
        "means.csv",
    ];
    fixture.ok(&[&["predict", "--fit", "fit"][..], &means].concat());
    let first = |text: &str, column: usize| {
        let row = text.lines().nth(7).unwrap();
        row.split(',').nth(column).unwrap().parse::<f64>().unwrap()
    };
    let means = fixture.text("means.csv");
    assert_eq!(means.lines().count(), rows);
    assert_eq!(
        means.lines().next().unwrap().split(',').count(),
        1 + targets
    );
    for t in 0..targets {
        assert!((first(&means, 1 + t) - first(&predicted, 1 + 2 * t)).abs() < 1e-6);
    }

    let search = [
        "--format",
        "json",
        "optimize",
        "--fit",
        "fit",
        "--objective",
        "pile_cc",
    ];
    let found = fixture
        .ok(&[&search[..], &["--out", "m.json"]].concat())
        .json();
    let mut stored: serde_json::Value = serde_json::from_str(&fixture.text("m.json")).unwrap();
    stored.as_object_mut().unwrap().remove("checksum");
    assert_eq!(found, stored);
    let weights = found["weights"].as_array().unwrap();
    let sum: f64 = weights.iter().map(|w| w["weight"].as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");

    fixture.write(
        "limits.toml",
        "[constraints.group.code]\ndomains = [\"github\", \"stackexchange\"]\ncap = 0.1\n",
    );
    let search = ["--format", "json", "optimize", "--fit", "fit"];
    let ends = ["--pareto", "pile_cc,mean", "--points", "4"];
    let limits = ["--objective", "limits.toml", "--out", "front.csv"];
    let front = fixture.ok(&[&search[..], &ends, &limits].concat()).json();
    assert_eq!(front["points"].as_array().unwrap().len(), 4);
    let csv = fixture.text("front.csv");
    assert!(csv.starts_with("weight,pile_cc,pile_cc_low,"), "{csv}");
    assert_eq!(csv.lines().count(), 5);
    let ends = ["--pareto", "pile_cc,nope", "--out", "f.csv"];
    fixture
        .refused(&[&search[..], &ends].concat())
        .says("`--pareto`: unknown target `nope`");
}
