//! Prompts against those of lm-evaluation-harness, and rows that do not fit.

use serde::Deserialize;
use serde_json::Value;

use super::*;

/// Rows made for this test, and what the code of lm-eval 0.4.13 makes of them.
const PROMPTS: &str = include_str!("prompts.jsonl");

#[derive(Deserialize)]
struct Expected {
    task: Task,
    row: Value,
    requests: Vec<[String; 2]>,
    choices: Vec<String>,
    gold: usize,
}

fn read(task: Task, text: &str) -> Result<Vec<Question>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, text).unwrap();
    task.read(&path, None)
}

#[test]
fn prompts_are_those_of_lm_eval() {
    let mut seen = std::collections::BTreeSet::new();
    for line in PROMPTS.lines() {
        let expected: Expected = serde_json::from_str(line).unwrap();
        let found = read(expected.task, &expected.row.to_string()).unwrap();
        let requests = expected.requests.into_iter();
        let requests = requests.map(|[context, continuation]| Request {
            context,
            continuation,
        });
        let wanted = Question {
            requests: requests.collect(),
            choices: expected.choices,
            gold: expected.gold,
        };
        assert_eq!(found, [wanted], "{}", expected.task);
        seen.insert(expected.task);
    }
    assert_eq!(seen.len(), NAMES.len(), "{seen:?}");
}

#[test]
fn names_are_those_of_the_files() {
    for (name, task) in NAMES {
        assert_eq!(task.to_string(), name);
        assert_eq!(serde_json::to_value(task).unwrap(), name);
        assert_eq!(name.parse::<Task>().unwrap(), task);
    }
    let err = "boolq".parse::<Task>().unwrap_err();
    assert!(
        err.problem()
            .starts_with("unknown task `boolq`: expected one of choices, arc,")
    );
}

#[test]
fn rows_that_do_not_fit_are_named_by_line_and_field() {
    let good = r#"{"query": "q", "choices": ["a", "b"], "gold": "1"}"#;
    let cases = [
        (
            r"[1]",
            None,
            "not a JSON object: invalid type: sequence, expected a map at line 1 column 0",
        ),
        (
            r#"{"query": "q", "choices": ["a"]}"#,
            Some("gold"),
            "missing: expected this field",
        ),
        (
            r#"{"query": 3, "choices": ["a"], "gold": 0}"#,
            Some("query"),
            "3: expected a text",
        ),
        (
            r#"{"query": "q", "choices": "a", "gold": 0}"#,
            Some("choices"),
            "\"a\": expected a list of texts",
        ),
        (
            r#"{"query": "q", "choices": ["a", null], "gold": 0}"#,
            Some("choices"),
            "null: expected a text",
        ),
        (
            r#"{"query": "q", "choices": ["a", "b"], "gold": 2}"#,
            None,
            "the right choice is number 2: expected 0 to 1",
        ),
        (
            r#"{"query": "q", "choices": ["a", "b"], "gold": -1}"#,
            Some("gold"),
            "-1: expected a whole number of 0 or more",
        ),
        (
            r#"{"query": "q", "choices": ["a", ""], "gold": 0}"#,
            None,
            "choice 1 is empty: expected a text",
        ),
        (
            r#"{"query": "q", "choices": [], "gold": 0}"#,
            None,
            "the right choice is number 0: expected 0 to 0",
        ),
    ];
    for (row, field, problem) in cases {
        let err = read(Task::Choices, &format!("{good}\n\n{row}\n")).unwrap_err();
        assert_eq!((err.field_name(), err.problem()), (field, problem), "{row}");
        assert_eq!(err.line_number(), Some(3));
    }
    assert_eq!(read(Task::Choices, good).unwrap()[0].gold, 1);
    assert_eq!(
        read(Task::Choices, "\n").unwrap_err().problem(),
        "no rows: expected JSON lines"
    );
    for (task, row, problem) in [
        (
            Task::Arc,
            r#"{"question": "q", "choices": {"text": ["a"], "label": ["A"]}, "answerKey": "B"}"#,
            "`B`: expected one of the labels A",
        ),
        (
            Task::Copa,
            r#"{"premise": "p.", "choice1": "a", "choice2": "b", "question": "why", "label": 0}"#,
            "`why`: expected `cause` or `effect`",
        ),
        (
            Task::Lambada,
            r#"{"text": "one"}"#,
            "expected at least two words",
        ),
        (
            Task::Race,
            r#"{"article": "a", "problems": "[{'question': "}"#,
            "expected a list of objects",
        ),
        (
            Task::Winogrande,
            r#"{"sentence": "s", "option1": "a", "option2": "b", "answer": "1"}"#,
            "no `_`, which stands for the options",
        ),
    ] {
        assert_eq!(read(task, row).unwrap_err().problem(), problem);
    }
}
