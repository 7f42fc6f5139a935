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
    task.read(&path, None, None)
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

/// Rows made for this test, and the questions with two examples that lm-eval 0.4.13 makes of
/// them, by its seed.
const SHOTS: &str = include_str!("shots.jsonl");

#[derive(Deserialize)]
struct ExpectedShots {
    task: Task,
    /// Whether examples are drawn from the questions' own file.
    own: bool,
    pool: Vec<Value>,
    asked: Vec<Value>,
    requests: Vec<Vec<[String; 2]>>,
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

#[test]
fn examples_are_drawn_and_joined_as_lm_eval_does() {
    let dir = tempfile::tempdir().unwrap();
    let (path, pool) = (
        dir.path().join("asked.jsonl"),
        dir.path().join("pool.jsonl"),
    );
    let mut seen = 0;
    for line in SHOTS.lines() {
        let expected: ExpectedShots = serde_json::from_str(line).unwrap();
        std::fs::write(&pool, lines(&expected.pool)).unwrap();
        std::fs::write(&path, lines(&expected.asked)).unwrap();
        let shots = Shots {
            count: 2,
            examples: (!expected.own).then(|| pool.clone()),
            seed: Shots::SEED,
        };
        let asked = if expected.own { &pool } else { &path };
        let found = expected.task.read(asked, Some(3), Some(&shots)).unwrap();
        let found: Vec<Vec<[String; 2]>> = (found.into_iter())
            .map(|question| {
                let requests = question.requests.into_iter();
                requests.map(|r| [r.context, r.continuation]).collect()
            })
            .collect();
        assert_eq!(found, expected.requests, "{}", expected.task);
        seen += 1;
    }
    assert_eq!(seen, NAMES.len() - 1, "all tasks of lm-eval");
}

#[test]
fn a_question_is_not_among_its_own_examples() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("rows.jsonl");
    for (task, row) in [
        (
            Task::Choices,
            r#"{"query": "Q#.", "choices": ["a", "b"], "gold": 1}"#,
        ),
        // lm-eval itself would not look for it here.
        (
            Task::Sciq,
            r#"{"question": "Q#.", "distractor1": "a", "distractor2": "b", "distractor3": "c", "correct_answer": "d", "support": ""}"#,
        ),
    ] {
        let rows: String = (0..4)
            .map(|i| row.replace('#', &i.to_string()) + "\n")
            .collect();
        std::fs::write(&path, &rows).unwrap();
        let shots = |count| Shots {
            count,
            examples: None,
            seed: 7,
        };
        for (i, question) in task
            .read(&path, None, Some(&shots(3)))
            .unwrap()
            .iter()
            .enumerate()
        {
            for j in 0..4 {
                let times = question.requests[0]
                    .context
                    .matches(&format!("Q{j}."))
                    .count();
                assert_eq!(times, 1, "question {j} before question {i}");
            }
        }
        let err = task.read(&path, None, Some(&shots(4))).unwrap_err();
        let problem = match task {
            Task::Choices => "4 rows for 4 examples before every question: expected at least 5",
            _ => "3 rows are not equal to the question: expected 4",
        };
        assert_eq!(err.problem(), problem);
        assert_eq!(err.path(), Some(path.as_path()));
        let none = task.read(&path, None, Some(&shots(0))).unwrap();
        assert_eq!(none, task.read(&path, None, None).unwrap());
    }
}
