//! Tables of runs from logs.

use crate::fixture::{Fixture, assert_output};

/// The history of a run with 200 columns, as Weights & Biases exports it.
fn history(run: usize) -> String {
    let web = 0.2 + 0.6 * run as f64 / 15.0;
    let mut text = String::from(",_step,_runtime,_timestamp,train/tokens,lr,eval/web/loss,");
    text += "eval/code/loss,mixture/web,mixture/code";
    (0..190).for_each(|i| text += &format!(",system/gpu.{i}.powerWatts"));
    for step in 1..=3 {
        let (loss, code) = (3.0 - 0.5 * web, 2.0 + 0.25 * web * web);
        let late = 3.0 / f64::from(step);
        let row = [loss + late, code + late, web, 1.0 - web].map(|x| x.to_string());
        text += &format!("\n{step},{step},1.5,1.7e9,{},0.1,", step * 1000);
        text += &row.join(",");
        (0..190).for_each(|i| text += &format!(",{}", 300 + i));
    }
    text + "\n"
}

#[test]
fn histories_of_200_columns_need_one_command() {
    let fixture = Fixture::empty();
    for run in 0..16 {
        fixture.write(&format!("wandb/run-{run}.csv"), history(run));
    }
    let done = fixture.ok(&[
        "import",
        "wandb",
        "--target",
        "eval/*/loss",
        "--weights",
        "mixture/*",
        "--tokens",
        "train/tokens",
        "--out",
        "tables",
    ]);
    let columns = history(0).lines().next().unwrap().split(',').count();
    assert_eq!(columns, 200);
    assert_eq!(
        done.stdout,
        "tables/losses.csv: 16 runs, 2 targets\n\
         tables/mixtures.csv: 16 mixtures over 2 domains\n\
         tables/trajectories.csv: 48 measurements along training\n\
         targets: web, code\n"
    );
    done.says("skipped: _runtime, _timestamp, lr, system/* (190)");
    done.says(
        "next: regmix fit --mixtures tables/mixtures.csv --losses tables/losses.csv --out tables/fit",
    );
    // The commands that come next work as they are printed.
    let next: Vec<&str> = done
        .stderr
        .lines()
        .filter_map(|l| l.strip_prefix("next: regmix "))
        .collect();
    assert_eq!(next.len(), 2, "{}", done.stderr);
    for command in next {
        let args: Vec<&str> = command.split(' ').collect();
        fixture.ok(&args);
    }
    assert!(fixture.text("tables/mixture.json").contains("\"web\""));
}

#[test]
fn files_that_an_import_did_not_write_are_kept() {
    let fixture = Fixture::empty();
    fixture.write("m.csv", "run,web,code\na,0.4,0.6\nb,0.5,0.5\n");
    fixture.write("l.csv", "run,web,code\na,2,3\nb,1,2\n");
    let import = ["import", "--mixtures", "m.csv", "--losses", "l.csv"];
    for name in ["errors.csv", "trajectories.csv", "sizes.csv"] {
        let file = format!("{}/{name}", name.len());
        let folder = file.split('/').next().unwrap();
        fixture.write(&file, "mine");
        let args = [&import[..], &["--out", folder]].concat();
        let output = fixture.refused(&args);
        output.says(&format!("{file}: it is there already"));
        output.says("choose another place with `--out`, or remove it with `--redo`");
        fixture.ok(&[&args[..], &["--redo"]].concat());
        assert!(!fixture.path(&file).exists());
        assert!(fixture.path(folder).join("mixtures.csv").exists());
    }
}

/// Two domains, ten runs.
fn design() -> String {
    let row = |run: usize| {
        let web = (run as f64 + 0.5) / 10.0;
        format!("{run},{web},{}\n", 1.0 - web)
    };
    (0..10).fold("run,web,code\n".to_owned(), |text, run| text + &row(run))
}

#[test]
fn results_of_lm_eval_become_scores_to_maximise() {
    let fixture = Fixture::empty();
    fixture.write("design.csv", design());
    for run in 0..9 {
        let acc = 0.3 + 0.02 * f64::from(run);
        let results = format!(
            r#"{{"results": {{"sciq": {{"acc,none": {acc}, "acc_stderr,none": 0.01}}}}, "n-shot": {{}}}}"#
        );
        fixture.write(&format!("results/proxy-{run}/results_2026.json"), results);
    }
    let import = [
        "import",
        "results",
        "--mixtures",
        "design.csv",
        "--run-names",
        "proxy-*",
        "--out",
        "my tables",
    ];
    assert_output!(fixture.ok(&import), @r"
    $ regmix import results --mixtures design.csv --run-names proxy-* --out my tables
    exit code: 0
    ----- stdout -----
    my tables/losses.csv: 9 runs, 1 target
    my tables/mixtures.csv: 9 mixtures over 2 domains
    my tables/errors.csv: standard errors of the values
    my tables/goal.toml: an objective: all targets are better when higher
    targets: sciq
    ----- stderr -----
    reading logs    9 in [SECONDS]
    note: mixtures without losses are left out: 9
    next: regmix fit --mixtures 'my tables/mixtures.csv' --losses 'my tables/losses.csv' --out 'my tables/fit'
    next: regmix optimize --fit 'my tables/fit' --objective 'my tables/goal.toml' --out 'my tables/mixture.json'
    ");
    assert_output!(fixture.refused(&import).stderr, @r"
    reading logs    9 in [SECONDS]
      × my tables/losses.csv: it is there already
      help: choose another place with `--out`, or overwrite it with `--redo`
    ");
    for args in [
        &[
            "fit",
            "--mixtures",
            "my tables/mixtures.csv",
            "--losses",
            "my tables/losses.csv",
            "--out",
            "fit",
        ][..],
        &[
            "optimize",
            "--fit",
            "fit",
            "--objective",
            "my tables/goal.toml",
            "--out",
            "mixture.json",
        ],
    ] {
        fixture.ok(args);
    }
    // Accuracy grows with web.
    let found = fixture.ok(&["export", "--to", "csv", "--mixture", "mixture.json"]);
    let web: f64 = (found.stdout.lines())
        .find_map(|line| line.strip_prefix("web,")?.parse().ok())
        .unwrap();
    assert!(web > 0.8, "{}", found.stdout);
    // `fit` itself says where to go with such files.
    assert_output!(
        fixture
            .refused(&["fit", "--mixtures", "design.csv", "--losses", "results/proxy-1/results_2026.json", "--out", "x"])
            .stderr,
        @r"
    × results/proxy-1/results_2026.json: results of lm-eval in JSON: expected a table in CSV
    help: `regmix import` makes tables of such files; or write one with a header `run,<name>…` and
          one row per run
    "
    );
}

#[test]
fn logs_are_read_by_a_mapping_and_panels_by_their_header() {
    let fixture = Fixture::empty();
    fixture.write(
        "map.toml",
        "tokens = \"seen\"\nparameters = \"n\"\n[targets]\nwiki = \"nll.wiki (en)\"\n\
         [weights]\nwiki = \"cfg/wiki\"\nrest = \"cfg/rest\"\n",
    );
    for (run, size) in [("a", 1e6), ("b", 2e6)] {
        fixture.write(
            &format!("logs/{run}/train.jsonl"),
            format!(
                "{{\"n\": {size}, \"cfg\": {{\"wiki\": 0.5, \"rest\": 0.5}}}}\n\
                 {{\"iter\": 10, \"seen\": 1000, \"nll.wiki (en)\": 3.5, \"lr\": 0.1}}\n\
                 {{\"iter\": 20, \"seen\": 2000, \"nll.wiki (en)\": 3.0, \"lr\": 0.1}}\n"
            ),
        );
    }
    let args = ["import", "logs", "--mapping", "map.toml", "--out", "t"];
    assert_output!(fixture.ok(&args), @r"
    $ regmix import logs --mapping map.toml --out t
    exit code: 0
    ----- stdout -----
    t/losses.csv: 2 runs, 1 target
    t/mixtures.csv: 2 mixtures over 2 domains
    t/trajectories.csv: 4 measurements along training
    t/sizes.csv: parameters of the runs
    targets: wiki
    ----- stderr -----
    reading logs    2 in [SECONDS]
    skipped: lr
    next: regmix fit --mixtures t/mixtures.csv --trajectories t/trajectories.csv --sizes t/sizes.csv --out t/fit
    ");
    assert_eq!(
        fixture.text("t/trajectories.csv"),
        "run,step,tokens,wiki\na,10,1000,3.5\na,20,2000,3\nb,10,1000,3.5\nb,20,2000,3\n"
    );
    assert_eq!(
        fixture.text("t/sizes.csv"),
        "run,parameters\na,1000000\nb,2000000\n"
    );
    fixture.write("map.toml", "tokns = \"seen\"\n");
    assert_output!(fixture.refused(&args).stderr, @r#"
      × map.toml:1: unknown field `tokns`, expected one of `run`, `step`, `tokens`, `parameters`,
      │ `targets`, `weights`
       ╭─[map.toml:1:1]
     1 │ tokns = "seen"
       · ──┬──
       ·   ╰── here
       ╰────
      help: did you mean `tokens`?
    "#);

    // Two panels, one for each metric.
    fixture.write("design.csv", design());
    fixture.write(
        "p/web.csv",
        "\"Step\",\"1 - loss/web\",\"1 - loss/web__MIN\",\"2 - loss/web\"\n10,4,4,5\n20,3.5,3.5,\n",
    );
    fixture.write(
        "p/code.csv",
        "\"Step\",\"1 - loss/code\",\"2 - loss/code\"\n10,2,3\n20,1.5,\n",
    );
    let args = [
        "import",
        "p/*.csv",
        "--target",
        "loss/*",
        "--mixtures",
        "design.csv",
        "--tokens-per-step",
        "1e5",
        "--out",
        "panels",
    ];
    assert_output!(fixture.ok(&args), @r"
    $ regmix import p/*.csv --target loss/* --mixtures design.csv --tokens-per-step 1e5 --out panels
    exit code: 0
    ----- stdout -----
    panels/losses.csv: 2 runs, 2 targets
    panels/mixtures.csv: 2 mixtures over 2 domains
    panels/trajectories.csv: 3 measurements along training
    targets: code, web
    ----- stderr -----
    reading logs    2 in [SECONDS]
    note: runs that end before step 20, the last of all: 2 (10). Values of different steps do not compare: leave these runs out, or take the values of one step with `--at-step`
    note: mixtures without losses are left out: 0, 3, 4, 5, 6, 7, 8, 9
    skipped: 1 - loss/web__MIN
    next: regmix fit --mixtures panels/mixtures.csv --losses panels/losses.csv --out panels/fit
    next: regmix optimize --fit panels/fit --out panels/mixture.json
    ");
    assert_eq!(
        fixture.text("panels/losses.csv"),
        "run,code,web\n1,1.5,3.5\n2,3,5\n"
    );
}

#[test]
fn an_olmix_fit_is_carried_over_with_its_objective() {
    let fixture = Fixture::empty();
    fixture.write("olmix/ratios.csv", design().replace("run,", "run_id,"));
    let row = |run: usize| {
        let web = (run as f64 + 0.5) / 10.0;
        format!("{run},x{run},{},{},{}\n", 3.0 - web, 2.0 + web * web, 9.0)
    };
    let metrics = (0..10).fold("run_id,name,math,code,odd\n".to_owned(), |t, run| {
        t + &row(run)
    });
    fixture.write("olmix/metrics.csv", metrics);
    let config = "swarm: {ratios: ratios.csv, metrics: metrics.csv}\n\
                  priors: {token_counts: {web: 3_000_000_000, code: 1_000_000_000}}\n\
                  proposer: {kl_reg: 0.05, make_worst_mix: true}\n\
                  constraints: {enabled: true, target_tokens: 2_000_000_000}\n\
                  filtering: {drop_metrics: [odd], obj_weights: {math: 3}}\n";
    fixture.write("olmix/fit.yaml", config);
    let import = ["import", "olmix/fit.yaml", "--out", "t"];
    assert_output!(fixture.ok(&import), @r"
    $ regmix import olmix/fit.yaml --out t
    exit code: 0
    ----- stdout -----
    t/losses.csv: 10 runs, 2 targets
    t/mixtures.csv: 10 mixtures over 2 domains
    t/goal.toml: objective and limits
    t/natural.csv: the natural mixture
    targets: math, code
    ----- stderr -----
    note: metrics.csv: left out `name`, which is no domain and no target
    note: these settings have no counterpart and do not count: proposer.make_worst_mix
    skipped: odd
    next: regmix fit --mixtures t/mixtures.csv --losses t/losses.csv --out t/fit
    next: regmix optimize --fit t/fit --objective t/goal.toml --prior t/natural.csv --out t/mixture.json
    ");
    assert_eq!(
        fixture.text("t/natural.csv"),
        "run,web,code\nnatural,0.75,0.25\n"
    );
    assert_output!(fixture.text("t/goal.toml"), @r"
    kl = 0.05

    [weights]
    code = 0.25
    math = 0.75

    [constraints]
    target_tokens = 2000000000.0
    max_epochs = 5.0

    [available]
    code = 1000000000.0
    web = 3000000000.0
    ");
    for args in [
        "fit --mixtures t/mixtures.csv --losses t/losses.csv --out t/fit",
        "optimize --fit t/fit --objective t/goal.toml --prior t/natural.csv --out t/mixture.json",
    ] {
        fixture.ok(&args.split(' ').collect::<Vec<_>>());
    }
    let refused = |from: &str, to: &str| {
        fixture.write("olmix/fit.yaml", config.replace(from, to));
        fixture
            .refused(&["import", "olmix/fit.yaml", "--out", "u"])
            .stderr
    };
    assert_output!(refused("{math: 3}", "{maths: 3}"), @r"
      × olmix/fit.yaml: `filtering.obj_weights`: `maths` has a weight and is no target: expected one
      │ of math, code
    ");
    assert_output!(refused("{web: 3", "{wbe: 3"), @r"
      × olmix/fit.yaml: `priors`: unknown domain `wbe`: expected one of web, code
    ");
    assert_output!(refused("swarm: {ratios: ratios.csv", "swarm: {ratio: ratios.csv"), @r"
      × olmix/fit.yaml:1: no configuration of an Olmix fit: missing field `ratios`
       ╭─[olmix/fit.yaml:1:1]
     1 │ swarm: {ratio: ratios.csv, metrics: metrics.csv}
       · ────────────────────────┬───────────────────────
       ·                         ╰── here
     2 │ priors: {token_counts: {web: 3_000_000_000, code: 1_000_000_000}}
       ╰────
      help: expected `swarm` with `ratios` and `metrics`
    ");
}

#[test]
fn tables_of_any_layout_are_written_in_that_of_regmix() {
    let fixture = Fixture::empty();
    fixture.write(
        "m.csv",
        "index,train_the_pile_web,train_the_pile_code\n1,0.5,0.5\n2,0.25,0.75\n",
    );
    fixture.write("l.csv", "index,metric/the_pile_web_val_loss\n2,3.5\n1,3\n");
    fixture.ok(&[
        "import",
        "--mixtures",
        "m.csv",
        "--losses",
        "l.csv",
        "--out",
        "t",
    ]);
    assert_eq!(fixture.text("t/losses.csv"), "run,web\n1,3\n2,3.5\n");
    assert_eq!(
        fixture.text("t/mixtures.csv"),
        "run,web,code\n1,0.5,0.5\n2,0.25,0.75\n"
    );
}

#[test]
fn what_is_wrong_with_logs_is_named() {
    let fixture = Fixture::empty();
    fixture.write("w/a.csv", "_step,eval/web/loss\n1,3\n");
    fixture.write("design.csv", design());
    let refused = |args: &str| {
        let args: Vec<&str> = args.split(' ').collect();
        fixture
            .refused(&[&["import"], &args[..], &["--out", "t"]].concat())
            .stderr
    };
    assert_output!(refused("w"), @r"
    reading logs    1 in [SECONDS]
      × `--target`: nothing says which metrics are losses: there are eval/web/loss
      help: name them by a pattern, such as `--target 'eval/*/loss'`
    ");
    assert_output!(refused("w --target evals/*/loss"), @r"
    reading logs    1 in [SECONDS]
      × `--target`: `evals/*/loss` matches nothing: the nearest of those left are eval/web/loss
      help: `*` stands for text without `/`, `**` for any text
    ");
    assert_output!(refused("x*/*.csv --target l"), @r"
      × x*/*.csv: no file matches: expected at least one
      help: `*` stands for a part of a name, `**` also for folders
    ");
    assert_output!(refused("nowhere --target l"), @r"
      × nowhere: No such file or directory (os error 2)
      help: check the path
    ");
    assert_output!(refused("w --target eval/*/loss --mixtures design.csv"), @r"
    reading logs    1 in [SECONDS]
      × design.csv: no mixture for the runs a; there are mixtures for 0, 1, 2, 3, 4, 5, 6, 7 and 2
      │ more
      help: name the runs alike: `--run-names 'proxy-*'` takes a part of their names
    ");
    assert_output!(refused("w --target eval/*/loss --tokens-per-step 0"), @r"
    error: invalid value '0' for '--tokens-per-step <N>': expected a positive number, such as 4194304 or 4e6

    For more information, try '--help'.
    ");
    assert_output!(refused("w --target eval/*/loss --run-names b/*.csv"), @r"
    reading logs    0 in [SECONDS]
      × w/a.csv: `--run-names`: neither `a` nor the path matches `b/*.csv`
      help: `*` stands for a part of a name, `**` also for folders
    ");
}
