//! Configurations of Olmix.

use regmix_data::exchange::read_olmix;

use super::Folder;

const CONFIG: &str = r#"
swarm:
  ratios: ratios.csv # beside this file
  metrics: metrics.csv
priors:
  relative_sizes: {web: 0.75, code: 0.25}
  total_tokens: 4_000_000_000
  token_counts: {web: 3_000_000_000, code: 1_000_000_000}
eval:
  type: offline
  tasks:
    math: ["gsm8k::olmes"]
    code: {humaneval: "codex:3shot", mbpp: "mbpp:3shot"}
regression: {type: log_linear, aggregate_task_families: true}
proposer: {type: exact, temperature: null, kl_reg: 0.05}
constraints: {enabled: true, target_tokens: 6_000_000_000}
filtering:
  keep_sources: []
  drop_metrics: ["mbpp:3shot"]
  fixed_weight: {code: "1/4"}
  obj_weights: {math: "7/52.0", code: 2}
"#;

#[test]
fn a_configuration_is_read_in_full() {
    let folder = Folder::new().with("fit.yaml", CONFIG);
    let fit = read_olmix(&folder.path("fit.yaml")).unwrap();
    assert_eq!(fit.ratios, folder.path("ratios.csv"));
    assert_eq!((fit.sizes["web"], fit.tokens["code"]), (0.75, 1e9));
    assert_eq!(fit.families["math"], ["gsm8k::olmes"]);
    assert_eq!(fit.families["code"], ["codex:3shot", "mbpp:3shot"]);
    assert!(fit.by_family);
    assert_eq!(
        (fit.objective["math"], fit.objective["code"]),
        (7.0 / 52.0, 2.0)
    );
    assert_eq!((fit.kl, fit.fixed["code"]), (0.05, 0.25));
    // Five times is the default of Olmix.
    assert_eq!((fit.target_tokens, fit.max_epochs), (Some(6e9), Some(5.0)));
    assert!(fit.skipped.is_empty());
    let off = CONFIG
        .replace("enabled: true", "enabled: false")
        .replace("keep_sources: []", "keep_sources: [web]");
    let folder = Folder::new().with("fit.yaml", off);
    let fit = read_olmix(&folder.path("fit.yaml")).unwrap();
    assert_eq!((fit.target_tokens, fit.max_epochs), (None, None));
    assert_eq!(fit.skipped, ["filtering.keep_sources"]);
}

#[test]
fn what_is_no_configuration_is_refused() {
    let refused = |text: &str| {
        let folder = Folder::new().with("fit.yaml", text);
        let error = read_olmix(&folder.path("fit.yaml"))
            .unwrap_err()
            .to_string();
        error.replace(
            &format!("{}/", folder.path("").display()).replace("//", "/"),
            "",
        )
    };
    assert_eq!(
        refused("train: {web: 1}\n"),
        "fit.yaml:1: no configuration of an Olmix fit: missing field `swarm`"
    );
    assert_eq!(
        refused(&CONFIG.replace("\"7/52.0\"", "seven")),
        "fit.yaml:21: no configuration of an Olmix fit: `seven` is no number: expected one, or a \
         fraction such as \"7/52\""
    );
    // Aliases that would grow to many times the file.
    let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for i in 1..9 {
        let all = vec![format!("*a{}", i - 1); 10].join(", ");
        bomb += &format!("a{i}: &a{i} [{all}]\n");
    }
    assert!(refused(&bomb).starts_with("fit.yaml"));
}
