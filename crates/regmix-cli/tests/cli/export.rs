//! Mixtures for trainers: from files, with a mapping, into files.

use crate::fixture::{Fixture, assert_output};
use crate::own_schedules::{plan, tables};

const MAPPING: &str = r#"[run]
tokens = 12e9
max_epochs = 4.0

[domains.web]
path = "/data/web_text_document"
tokens = 8e9
documents = 8e6

[domains.code]
path = "/data/code_text_document"
tokens = 3e9
documents = 1e6

[domains."Wiki (en)"]
path = "/data/wiki_text_document"
name = "wiki"
tokens = 1e9
documents = 5e5
"#;

fn fixture() -> Fixture {
    let fixture = Fixture::empty();
    fixture.write("mapping.toml", MAPPING);
    fixture.write(
        "mixture.json",
        r#"{"web": 0.55, "code": 0.25, "Wiki (en)": 0.2}"#,
    );
    fixture
}

fn export<'a>(to: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["export", "--to", to, "--mixture", "mixture.json"];
    args.extend(more);
    args
}

#[test]
fn a_mixture_is_printed_with_its_tokens_and_epochs() {
    let fixture = fixture();
    let mapped = ["--mapping", "mapping.toml"];
    assert_output!(fixture.ok(&export("megatron", &mapped)), @r#"
    $ regmix export --to megatron --mixture mixture.json --mapping mapping.toml
    exit code: 0
    ----- stdout -----
    --data-path 0.55 /data/web_text_document 0.25 /data/code_text_document 0.2 /data/wiki_text_document
    ----- stderr -----
    weights of megatron count sequences: their shares are those of tokens
    domain     of tokens      tokens   available  epochs  at most
    web          55.000%  6600000000  8000000000   0.825        4
    code         25.000%  3000000000  3000000000   1.000        4
    Wiki (en)    20.000%  2400000000  1000000000   2.400        4
    "#);
    let torchtitan = fixture.ok(&export("torchtitan", &mapped));
    assert_output!(torchtitan, @r"
    $ regmix export --to torchtitan --mixture mixture.json --mapping mapping.toml
    exit code: 0
    ----- stdout -----
    # torchtitan draws documents. Define a data set of each name before this.
    mix = DatasetMixConfig(
        datasets=(
            WeightedDataset(dataset=web, weight=0.75),  # /data/web_text_document
            WeightedDataset(dataset=code, weight=0.11363636),  # /data/code_text_document
            WeightedDataset(dataset=wiki, weight=0.13636364),  # /data/wiki_text_document
        ),
    )
    ----- stderr -----
    weights of torchtitan count documents: shares of tokens, divided by the mean tokens of one
    domain     of tokens  of documents      tokens   available  epochs  at most
    web          55.000%       75.000%  6600000018  8000000000   0.825        4
    code         25.000%       11.364%  2999999912  3000000000   1.000        4
    Wiki (en)    20.000%       13.636%  2400000070  1000000000   2.400        4
    ");
}

#[test]
fn files_are_written_and_not_overwritten() {
    let fixture = fixture();
    let args = export(
        "levanter",
        &["--path", "gs://b/{domain}.jsonl", "--out", "data.yaml"],
    );
    assert_eq!(fixture.ok(&args).stdout, "data.yaml\n");
    assert!(fixture.text("data.yaml").contains("\"Wiki (en)\": 0.2\n"));
    assert_output!(fixture.refused(&args).stderr, @r"
    × data.yaml: it is there already
    help: choose another place with `--out`, or overwrite it with `--redo`
    ");
    let json = export("levanter", &["--path", "/{domain}", "--format", "json"]);
    let whole = fixture.ok(&json).json();
    assert_eq!(whole["unit"], "sequences");
    assert_eq!(whole["domains"][0]["weight"], 0.55);
    assert!(
        whole["files"][0]["text"]
            .as_str()
            .unwrap()
            .starts_with("data:\n")
    );
}

#[test]
fn tables_and_mixtures_at_a_size_are_read() {
    let fixture = fixture();
    fixture.write("m.csv", "run,web,code\na,0.5,0.5\nb,0.75,0.25\n");
    let csv = ["export", "--to", "csv", "--mixture", "m.csv"];
    assert_output!(fixture.refused(&csv).stderr, @r"
    × m.csv: 2 mixtures: expected one
    help: name a row of the table with `--run`
    ");
    let row = fixture.ok(&[&csv[..], &["--run", "b"]].concat()).stdout;
    assert_eq!(row, "domain,share_of_tokens\nweb,0.75\ncode,0.25\n");
    // What `optimize --parameters` writes.
    fixture.write(
        "at.json",
        r#"{"parameters": 1e8, "tokens": 1e9, "mixture": {"web": 0.9, "code": 0.1},
            "objective": {"name": "objective", "mean": 3.0, "low": 2.9, "high": 3.1},
            "losses": [], "path": [], "natural": null, "warnings": []}"#,
    );
    let at = fixture.ok(&["export", "--to", "csv", "--mixture", "at.json"]);
    assert_eq!(at.stdout, "domain,share_of_tokens\nweb,0.9\ncode,0.1\n");
}

#[test]
fn what_is_wrong_is_named() {
    let fixture = fixture();
    let refused = |args: &[&str]| fixture.refused(args).stderr;
    assert_output!(refused(&export("megatron", &[])), @r"
    × megatron reads the data of every domain from its path: expected `--mapping` or `--path`
    help: give a pattern, such as `--path '/data/{domain}'`, or see `regmix export --help`
    ");
    assert_output!(refused(&export("pytorch", &[])), @r"
    error: invalid value 'pytorch' for '--to <TRAINER>': unknown trainer `pytorch`: expected one of megatron, megatron-args, megatron-json, nemo, megatron-bridge, energon, olmo-core, litgpt, tinyllama, regmix-yaml, levanter, mosaic-streaming, hf-datasets, nanotron, torchtitan, gpt-neox, doremi-json, olmix, csv, json

    For more information, try '--help'.
    ");
    assert_output!(refused(&export("megatron", &["--path", "/data"])), @r"
    × `--path`: `/data` has no `{domain}`: expected one, so that domains have data of their own
    ");
    // The pattern makes a path with a blank.
    assert_output!(refused(&export("megatron", &["--path", "/data/{domain}"])), @r#"
    × `domains.Wiki (en).path`: "/data/Wiki (en)": the list is taken apart at blanks, and quotes and
    │ a `-` at the beginning mean something else
    help: link the data to a path without them, or export to `megatron-json`
    "#);
    let mapped = export("megatron", &["--mapping", "mapping.toml"]);
    fixture.edit("mapping.toml", "[domains.code]\n", "[domains.coed]\n");
    assert_output!(refused(&mapped), @r"
    × mapping.toml: `domains.coed`: unknown domain `coed`: expected one of web, code, Wiki (en)
    help: remove it, or rename it: names are those of the mixture
    ");
    fixture.write("mapping.toml", "[domains.web]\npath = \"/data/web\"\n");
    assert_output!(refused(&mapped), @r#"
    × no data for `code`, `Wiki (en)`: megatron needs a path for every domain
    help: add `[domains.code]` with `path = "..."`
    "#);
    fixture.write("mapping.toml", "[domains.web]\npaht = \"/data/web\"\n");
    assert_output!(refused(&mapped), @r#"
     × mapping.toml:2: unknown field `paht`, expected one of `name`, `path`, `paths`, `valid`,
     │ `test`, `local`, `tokens`, `documents`, `bytes`, `max_epochs`
      ╭─[mapping.toml:2:1]
    1 │ [domains.web]
    2 │ paht = "/data/web"
      · ──┬─
      ·   ╰── here
      ╰────
     help: did you mean `path`?
    "#);
    fixture.write("mixture.json", r#"{"web": 0.55, "code": 0.25}"#);
    assert_output!(refused(&export("csv", &[])), @r"
    × mixture.json: neither a mixture nor a schedule of regmix, nor an object of domains with their
    │ weights: weights sum to 0.8, expected 1 (within 1e-6) at line 1 column 27
    ");
}

#[test]
fn several_files_go_into_a_folder() {
    let fixture = tables();
    // The plan as it is, checked or not.
    fixture.write(
        "two.toml",
        "stages = 2\nbootstrap = 0\nstatic_unless = 0.0\n",
    );
    fixture.ok(&plan("t.csv", "plan", &[]));
    let args = [
        "export",
        "--to",
        "megatron",
        "--path",
        "/{domain}",
        "--schedule",
        "plan/schedule.json",
    ];
    assert_output!(fixture.refused(&args).stderr, @r"
    × `--out`: megatron takes 3 files here: expected a folder for them
    ");
    let done = fixture.ok(&[&args[..], &["--out", "phases"]].concat());
    assert_eq!(
        done.stdout,
        "phases/phase-0.args\nphases/phase-1.args\nphases/phase-2.args\n"
    );
    done.says("note: training stops at every transition");
    let first = fixture.text("phases/phase-0.args");
    assert!(
        first.ends_with("--phase-transition-iterations 8333,16667\n"),
        "{first}"
    );
    let one = [
        "export",
        "--to",
        "torchtitan",
        "--schedule",
        "plan/schedule.json",
    ];
    (fixture.refused(&one)).says("the mixture changes 2 times, and torchtitan keeps one");
}
