//! Made-up reviews.

use std::path::Path;

use super::folders::folders;
use crate::DataError;
use crate::random::Stream;

const CLASSES: [&str; 2] = ["bad", "good"];
const SUBJECTS: [&str; 6] = ["film", "story", "cast", "music", "ending", "camera work"];
const WORDS: [[&str; 6]; 2] = [
    ["dull", "terrible", "clumsy", "weak", "boring", "awful"],
    ["lovely", "brilliant", "moving", "strong", "funny", "superb"],
];
const OPENINGS: [&str; 4] = ["I thought the", "The", "For me the", "To be honest, the"];

pub(super) fn write(folder: &Path) -> Result<usize, DataError> {
    folders(folder, &CLASSES, "txt", |class, number| {
        Ok(review(class, number).into_bytes())
    })
}

/// Two to four sentences, each with an adjective of the class.
fn review(class: usize, number: u64) -> String {
    let mut stream = Stream::new(0, "sample texts", &[class as u64, number]);
    let mut pick = |words: &'static [&'static str]| {
        words
            .get(stream.below(words.len() as u64) as usize)
            .copied()
            .unwrap_or_default()
    };
    let words: &'static [&'static str] = WORDS.get(class).map_or(&[], |words| words);
    let sentences = 2 + (number % 3) as usize;
    let sentence = |_| {
        let (opening, subject, word) = (pick(&OPENINGS), pick(&SUBJECTS), pick(words));
        format!("{opening} {subject} was {word}.")
    };
    (0..sentences).map(sentence).collect::<Vec<_>>().join(" ") + "\n"
}
