//! The prompts of lm-evaluation-harness, one function for each task that needs one.

use regex_lite::Regex;

use super::row::Row;
use super::{Question, Request, Task};
use crate::error::{Error, Result};

pub(super) fn question(task: Task, row: &Row) -> Result<Question> {
    let text = |name: &str| row.text(name);
    let owned = |names: &[&str]| -> Result<Vec<String>> {
        names
            .iter()
            .map(|name| text(name).map(str::to_owned))
            .collect()
    };
    let asked = |question: &str| format!("Question: {question}\nAnswer:");
    Ok(match task {
        Task::Choices => Question::new(text("query")?, row.texts("choices")?, row.index("gold")?),
        Task::Arc => {
            let (choices, gold) = row.labelled(text("answerKey")?)?;
            Question::new(&asked(text("question")?), choices, gold)
        }
        Task::Copa => copa(row)?,
        Task::Hellaswag => hellaswag(row)?,
        Task::Lambada => lambada(text("text")?)?,
        Task::Logiqa => logiqa(row)?,
        Task::Multirc => {
            let prompt = format!("{}\n{}", text("paragraph")?, asked(text("question")?));
            let answer = text("answer")?;
            let choices =
                ["yes", "no"].map(|yes| format!("{answer}\nIs the answer correct? {yes}"));
            Question::new(&prompt, choices.into(), row.index("label")?)
        }
        Task::Openbookqa => {
            let (choices, gold) = row.labelled(text("answerKey")?.trim_start())?;
            Question::new(text("question_stem")?, choices, gold)
        }
        Task::Piqa => Question::new(
            &asked(text("goal")?),
            owned(&["sol1", "sol2"])?,
            row.index("label")?,
        ),
        Task::Qqp => {
            let prompt = format!(
                "Question 1: {}\nQuestion 2: {}\nQuestion: Do both questions ask the same \
                 thing?\nAnswer:",
                text("question1")?,
                text("question2")?
            );
            let choices = ["no", "yes"].map(str::to_owned);
            Question::new(&prompt, choices.into(), row.index("label")?)
        }
        Task::Race => race(row)?,
        Task::Sciq => {
            let support = text("support")?.trim_start();
            let prompt = format!("{support}\n{}", asked(text("question")?));
            let choices = owned(&[
                "distractor1",
                "distractor2",
                "distractor3",
                "correct_answer",
            ])?;
            Question::new(&prompt, choices, 3)
        }
        Task::SocialIqa => {
            let prompt = format!("Q: {} {}\nA:", text("context")?, text("question")?);
            let choices = owned(&["answerA", "answerB", "answerC"])?;
            Question::new(&prompt, choices, from_one(row, "label")?)
        }
        Task::Winogrande => winogrande(row)?,
    })
}

/// A number that counts from 1.
fn from_one(row: &Row, name: &str) -> Result<usize> {
    let expected = || Error::input("0: expected 1 or more").field(name);
    row.index(name)?.checked_sub(1).ok_or_else(expected)
}

fn copa(row: &Row) -> Result<Question> {
    let connector = match row.text("question")? {
        "cause" => "because",
        "effect" => "therefore",
        other => {
            let problem = format!("`{other}`: expected `cause` or `effect`");
            return Err(Error::input(problem).field("question"));
        }
    };
    // Without the full stop.
    let mut premise = row.text("premise")?.trim().chars();
    premise.next_back();
    let choice = |name: &str| -> Result<String> {
        let mut chars = row.text(name)?.chars();
        let first = chars.next().into_iter().flat_map(char::to_lowercase);
        Ok(first.chain(chars).collect())
    };
    let choices = [choice("choice1")?, choice("choice2")?];
    // The choices of lm-eval begin with a blank of their own.
    let choices = choices.map(|choice| format!(" {choice}"));
    let prompt = format!("{} {connector}", premise.as_str());
    Ok(Question::new(&prompt, choices.into(), row.index("label")?))
}

fn hellaswag(row: &Row) -> Result<Question> {
    // As Python's `capitalize`: the rest becomes small.
    let second = row.text("ctx_b")?;
    let mut chars = second.chars();
    let first = chars.next().into_iter().flat_map(char::to_uppercase);
    let second: String = first.chain(chars.flat_map(char::to_lowercase)).collect();
    let context = format!(
        "{}: {} {second}",
        row.text("activity_label")?,
        row.text("ctx_a")?
    );
    let endings = row.texts("endings")?;
    let endings = endings.iter().map(|ending| without_brackets(ending));
    Ok(Question::new(
        &without_brackets(&context)?,
        endings.collect::<Result<_>>()?,
        row.index("label")?,
    ))
}

/// Removes what WikiHow left in texts of HellaSwag.
fn without_brackets(text: &str) -> Result<String> {
    let text = text.trim().replace(" [title]", ". ");
    let brackets = Regex::new(r"\[.*?\]").map_err(|e| Error::failed(e.to_string()))?;
    Ok(brackets.replace_all(&text, "").replace("  ", " "))
}

fn lambada(text: &str) -> Result<Question> {
    let Some((context, word)) = text.rsplit_once(' ') else {
        return Err(Error::input("expected at least two words").field("text"));
    };
    let continuation = format!(" {word}");
    Ok(Question {
        choices: vec![continuation.clone()],
        requests: vec![Request {
            context: context.to_owned(),
            continuation,
        }],
        gold: 0,
    })
}

fn logiqa(row: &Row) -> Result<Question> {
    let options = row.texts("options")?;
    let mut prompt = format!(
        "Passage: {}\nQuestion: {}\nChoices:\n",
        row.text("context")?,
        row.text("question")?
    );
    for (letter, option) in ["A", "B", "C", "D"].iter().zip(&options) {
        prompt.push_str(&format!("{letter}. {option}\n"));
    }
    prompt.push_str("Answer:");
    let gold = letter(row.text("label")?.trim(), "abcd", "label")?;
    Ok(Question::new(&prompt, options, gold))
}

/// The place of a letter among some.
fn letter(found: &str, letters: &str, field: &str) -> Result<usize> {
    let place = letters.char_indices().find(|(_, c)| found.chars().eq([*c]));
    place.map(|(place, _)| place).ok_or_else(|| {
        Error::input(format!("`{found}`: expected one of the letters {letters}")).field(field)
    })
}

/// The last problem of an article, after the others with their answers.
fn race(row: &Row) -> Result<Question> {
    /// The end of a sentence with a gap.
    const GAP: &str = "  _  .";
    let mut prompt = format!("Article: {}\n\n", row.text("article")?);
    // One problem in a row of its own, as another copy of the data set has them.
    let problems = match row.has("problems") {
        true => row.objects("problems")?,
        false => Vec::new(),
    };
    let (last, before) = match problems.split_last() {
        Some((last, before)) => (last, before),
        None => (row, &[][..]),
    };
    let answer = |problem: &Row| letter(problem.text("answer")?, "ABCD", "answer");
    for problem in before {
        let (question, options) = (problem.text("question")?, problem.texts("options")?);
        let right = options
            .get(answer(problem)?)
            .ok_or_else(|| Error::input("expected four options").field("problems.options"))?;
        match question.strip_suffix(GAP) {
            // One blank of the gap stays.
            Some(start) => prompt.push_str(&format!("{start} {right}\n")),
            None => prompt.push_str(&format!("Question: {question}\nAnswer: {right}\n")),
        }
    }
    prompt.push_str(last.text("question")?);
    Ok(Question::new(
        &prompt,
        last.texts("options")?,
        answer(last)?,
    ))
}

fn winogrande(row: &Row) -> Result<Question> {
    let sentence = row.text("sentence")?;
    let Some((start, rest)) = sentence.split_once('_') else {
        let e = Error::input("no `_`, which stands for the options");
        return Err(e.field("sentence"));
    };
    let choices: Vec<String> = ["option1", "option2"]
        .into_iter()
        .map(|name| Ok(format!("{start}{}", row.text(name)?)))
        .collect::<Result<_>>()?;
    let requests = choices.iter().map(|context| Request {
        context: context.clone(),
        continuation: format!("{}{}", super::DELIMITER, rest.trim()),
    });
    Ok(Question {
        requests: requests.collect(),
        gold: from_one(row, "answer")?,
        choices,
    })
}
