//! An answer as a line.

use serde::Serialize;

use crate::answer::{Answer, ClassConfidence};

/// What an answer is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    /// What was given.
    pub(super) input: String,
    /// Row of a table, counted from 1, where there are several.
    pub(super) row: Option<usize>,
}

#[derive(Serialize)]
struct Line<'a> {
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    #[serde(flatten)]
    answer: Answered<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Answered<'a> {
    Class {
        class: &'a str,
        confidence: f32,
        top: &'a [ClassConfidence],
    },
    Values {
        values: &'a [f32],
    },
    Error {
        error: &'a str,
    },
}

/// As a JSON object: `input`, `row` of a table, and `class`, `confidence` and `top`, or `values`.
pub(super) fn json(subject: &Subject, answer: &Answer, top: u16) -> serde_json::Result<String> {
    let answer = match answer {
        Answer::Classes(classes) => {
            let top = &classes[..usize::from(top).min(classes.len())];
            let first = top.first();
            Answered::Class {
                class: first.map_or("", |first| &first.class),
                confidence: first.map_or(0.0, |first| first.confidence),
                top,
            }
        }
        Answer::Values(values) => Answered::Values { values },
    };
    serde_json::to_string(&Line {
        input: &subject.input,
        row: subject.row,
        answer,
    })
}

/// As a JSON object with `error`.
pub(super) fn json_error(input: &str, error: &str) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        input,
        row: None,
        answer: Answered::Error { error },
    })
}

/// As a line for people.
pub(super) fn line(subject: &Subject, answer: &Answer, top: u16) -> String {
    let row = subject
        .row
        .map_or_else(String::new, |row| format!(" row {row}"));
    let answer: String = match answer {
        Answer::Classes(classes) => (classes.iter().take(top.into()))
            .map(|c| format!("  {} {:.1} %", c.class, 100.0 * c.confidence))
            .collect(),
        Answer::Values(values) => values.iter().map(|value| format!("  {value}")).collect(),
    };
    format!("{}{row}:{answer}", subject.input)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pets() -> Answer {
        let class = |class: &str, confidence| ClassConfidence {
            class: class.into(),
            confidence,
        };
        Answer::Classes(vec![class("cat", 0.75), class("d\"g", 0.25)])
    }

    #[test]
    fn lines_hold_names_and_confidences() {
        let subject = Subject {
            input: "a.png".into(),
            row: None,
        };
        assert_eq!(line(&subject, &pets(), 1), "a.png:  cat 75.0 %");
        assert_eq!(
            json(&subject, &pets(), 9).unwrap(),
            r#"{"input":"a.png","class":"cat","confidence":0.75,"top":[{"class":"cat","confidence":0.75},{"class":"d\"g","confidence":0.25}]}"#
        );
        let row = Subject {
            input: "t.csv".into(),
            row: Some(2),
        };
        let values = Answer::Values(vec![1.5, -2.0]);
        assert_eq!(line(&row, &values, 1), "t.csv row 2:  1.5  -2");
        assert_eq!(
            json(&row, &values, 1).unwrap(),
            r#"{"input":"t.csv","row":2,"values":[1.5,-2.0]}"#
        );
        assert_eq!(
            json_error("x", "no").unwrap(),
            r#"{"input":"x","error":"no"}"#
        );
    }
}
