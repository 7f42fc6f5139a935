//! A study whose losses only trees describe: with steps, and no slope.

use regmix_data::design::Dirichlet;
use regmix_data::random::stream;
use regmix_data::table::{MixtureTable, Observations, ValueTable};
use regmix_data::{DomainSet, Mixture};
use regmix_regress::search::Surface;
use regmix_regress::{
    Choice, Fit, FitOptions, Method, Objective, RecommendOptions, Scorer, recommend,
};

/// The loss is low where `web` has more than a half and `junk` less than a
/// tenth.
fn observations() -> Observations {
    let domains = DomainSet::from_names(["web", "code", "junk"]).unwrap();
    let mut rng = stream(5, "trees", "test");
    let draw = Dirichlet::new(&[1.0; 3]).unwrap();
    let (mut mixtures, mut values) = (Vec::new(), Vec::new());
    for run in 0..150 {
        let w = draw.sample(&mut rng);
        let step = |yes: bool| f64::from(u8::from(yes));
        let loss = 3.0 - step(w[0] > 0.5) - 0.5 * step(w[2] < 0.1);
        values.push((format!("r{run}"), vec![loss, loss + 0.1 * w[1]]));
        mixtures.push((
            format!("r{run}"),
            Mixture::normalized(domains.clone(), w).unwrap(),
        ));
    }
    Observations::join(
        MixtureTable::new(domains, mixtures).unwrap(),
        ValueTable::new(vec!["web".into(), "both".into()], values).unwrap(),
    )
    .unwrap()
}

/// The text of a file without its checksum, as earlier versions wrote it.
fn unsealed(path: &std::path::Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let at = text.rfind(",\n  \"checksum\"").unwrap();
    format!("{}\n}}\n", &text[..at])
}

#[test]
fn trees_are_chosen_kept_and_searched() {
    let options = FitOptions {
        regressors: ["linear", "law1", "gbdt"].map(str::to_owned).to_vec(),
        ..FitOptions::default()
    };
    let fit = Fit::train(&observations(), &options).unwrap();
    let chosen: Vec<&str> = fit.targets().iter().map(|t| t.regressor.as_str()).collect();
    assert_eq!(chosen, ["gbdt", "gbdt"]);

    let dir = tempfile::tempdir().unwrap();
    fit.save(dir.path()).unwrap();
    let read = Fit::load(dir.path()).unwrap();
    assert!(read.targets() == fit.targets());
    let path = dir.path().join("fit.json");
    let text = unsealed(&path);
    // Another root: no tree has as many leaves as its questions say.
    let at = text.find("\"questions\"").unwrap();
    let end = at + text[at..].find(',').unwrap();
    let open = at + text[at..].find('[').unwrap() + 1;
    std::fs::write(&path, format!("{}3{}", &text[..open], &text[end..])).unwrap();
    let error = Fit::load(dir.path()).unwrap_err();
    assert!(error.to_string().contains("gbdt"), "{error}");

    let found = recommend(
        &fit,
        &RecommendOptions {
            objective: Objective::Mean,
            method: Method::Simulate,
            bootstrap: 2,
            ..RecommendOptions::default()
        },
    );
    let best = found.unwrap().mixture;
    assert!(
        best.get("web").unwrap() > 0.5 && best.get("junk").unwrap() < 0.1,
        "{best:?}"
    );
}

#[test]
fn many_mixtures_are_scored_as_each_is() {
    for name in ["gbdt", "linear"] {
        let options = FitOptions {
            regressors: vec![name.into()],
            choice: Choice::Named(name.into()),
            ..FitOptions::default()
        };
        let fit = Fit::train(&observations(), &options).unwrap();
        let mut rng = stream(6, "trees", "test");
        let draw = Dirichlet::new(&[1.0; 3]).unwrap();
        let rows: Vec<Vec<f64>> = (0..150).map(|_| draw.sample(&mut rng)).collect();
        for caution in [0.0, 1.64] {
            let scorer = Scorer::new(&fit, &Objective::Mean)
                .unwrap()
                .with_caution(caution);
            let values = scorer.values(&rows);
            for (row, value) in rows.iter().zip(values) {
                assert_eq!(scorer.value(row), value);
            }
        }
    }
}
