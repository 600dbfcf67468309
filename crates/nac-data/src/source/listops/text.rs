//! The text form of expressions and the files that hold them.
//!
//! In the files an expression is a binary tree: `[MAX 3 4 ]` is `( ( ( [MAX 3 ) 4 ) ] )`. The
//! parentheses add nothing; the Long Range Arena's loader drops them, and so does [`parse`].
//! Two layouts are read: the arena's (`Source<TAB>Target` with that header) and Nangia & Bowman's
//! (`answer<TAB>expression`, no header).

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use fs_err as fs;
use rayon::prelude::*;

use super::Corpus;
use super::evaluate::evaluate;
use super::vocabulary::{CLOSE, Symbol, is_operator, symbol_of, symbol_text};
use crate::{DataError, Progress};

const HEADER: &str = "Source\tTarget";
/// Lines parsed at a time.
const CHUNK: usize = 2_048;

/// Symbols of a text; parentheses are dropped. It checks words and that parentheses match;
/// [`evaluate`] checks the rest.
///
/// # Errors
/// [`DataError::Expression`] with the position of the word.
pub fn parse(text: &str) -> Result<Vec<Symbol>, DataError> {
    parse_bytes(text.as_bytes())
}

fn parse_bytes(text: &[u8]) -> Result<Vec<Symbol>, DataError> {
    let wrong = |position, reason: String| Err(DataError::Expression { position, reason });
    let mut symbols = Vec::with_capacity(text.len() / 4);
    let mut depth = 0usize;
    let mut words = 0;
    for word in text
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty())
    {
        match (word, symbol_of(word)) {
            (_, Some(symbol)) => symbols.push(symbol),
            (b"(", _) => depth += 1,
            (b")", _) if depth > 0 => depth -= 1,
            (b")", _) => return wrong(words, "`)` without `(`".into()),
            _ => {
                let shown: String = String::from_utf8_lossy(word).chars().take(20).collect();
                return wrong(words, format!("`{shown}` is no symbol of ListOps"));
            }
        }
        words += 1;
    }
    if depth > 0 {
        return wrong(words, format!("{depth} `(` without `)`"));
    }
    Ok(symbols)
}

/// The text of an expression, as a binary tree.
///
/// # Errors
/// [`DataError::Expression`] if the symbols are no expression.
pub fn write_text(symbols: &[Symbol]) -> Result<String, DataError> {
    evaluate(symbols)?;
    let mut text = String::with_capacity(symbols.len() * 7);
    append_text(symbols, &mut text);
    Ok(text)
}

/// As [`write_text`] for symbols that are known to be an expression.
fn append_text(symbols: &[Symbol], text: &mut String) {
    let arguments = argument_counts(symbols);
    let mut operators = arguments.iter();
    let mut depth = 0usize;
    for (position, &symbol) in symbols.iter().enumerate() {
        if position > 0 {
            text.push(' ');
        }
        if is_operator(symbol) {
            let count = operators.next().copied().unwrap_or(0);
            (0..=count).for_each(|_| text.push_str("( "));
            text.push_str(symbol_text(symbol));
            depth += 1;
            continue;
        }
        text.push_str(symbol_text(symbol));
        if symbol == CLOSE {
            text.push_str(" )");
            depth = depth.saturating_sub(1);
        }
        // A complete argument closes one parenthesis of its operator.
        if depth > 0 {
            text.push_str(" )");
        }
    }
}

/// Number of arguments of each operator, in the order in which the operators open.
fn argument_counts(symbols: &[Symbol]) -> Vec<usize> {
    let mut counts = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    for &symbol in symbols {
        if is_operator(symbol) {
            open.push(counts.len());
            counts.push(0);
            continue;
        }
        if symbol == CLOSE {
            open.pop();
        }
        if let Some(&parent) = open.last() {
            counts[parent] += 1;
        }
    }
    counts
}

/// Writes a file in the arena's layout and waits until it is on disk.
///
/// # Errors
/// [`DataError::Io`].
pub fn write_tsv(path: &Path, corpus: &Corpus) -> Result<(), DataError> {
    let mut file = BufWriter::with_capacity(1 << 20, fs::File::create(path)?);
    let mut line = String::new();
    writeln!(file, "{HEADER}")?;
    for (symbols, answer) in corpus.iter() {
        line.clear();
        append_text(symbols, &mut line);
        writeln!(file, "{line}\t{answer}")?;
    }
    let file = file
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    file.sync_all()?;
    Ok(())
}

/// Reads a file in either layout. Every expression is evaluated and compared with its answer.
///
/// # Errors
/// [`DataError::Io`], or [`DataError::CorruptLine`] with the first line that is wrong.
pub fn read_tsv(path: &Path, progress: &dyn Progress) -> Result<Corpus, DataError> {
    let file = fs::File::open(path)?;
    let bytes = file.metadata()?.len();
    let what = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    progress.start(&format!("reading {what}"), Some(bytes), "bytes");
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let mut corpus = Corpus::new();
    let (mut line, mut done, mut answer_first) = (0u64, 0u64, false);
    loop {
        let mut chunk: Vec<(u64, Vec<u8>)> = Vec::new();
        while chunk.len() < CHUNK {
            let mut text = Vec::new();
            let read = reader.read_until(b'\n', &mut text)?;
            if read == 0 {
                break;
            }
            (line, done) = (line + 1, done + read as u64);
            if line == 1 {
                answer_first = text.trim_ascii_end() != HEADER.as_bytes();
                if !answer_first {
                    continue;
                }
            }
            // A last line without a newline means that the file was truncated.
            if text.last() != Some(&b'\n') && !answer_first {
                return Err(corrupt(path, line, "the file ends inside this line".into()));
            }
            chunk.push((line, text));
        }
        if chunk.is_empty() {
            break;
        }
        let rows = chunk
            .par_iter()
            .map(|(line, text)| row(text, answer_first).map_err(|e| corrupt(path, *line, e)))
            .collect::<Vec<_>>();
        for row in rows {
            let (symbols, answer) = row?;
            corpus.push(&symbols, answer);
        }
        progress.at(done);
    }
    if corpus.is_empty() {
        return Err(corrupt(
            path,
            line.max(1),
            "there is no expression in the file".into(),
        ));
    }
    progress.finish();
    Ok(corpus)
}

fn corrupt(path: &Path, line: u64, reason: String) -> DataError {
    DataError::CorruptLine {
        path: path.into(),
        line,
        reason,
    }
}

/// Symbols and checked answer of one line.
fn row(line: &[u8], answer_first: bool) -> Result<(Vec<Symbol>, u8), String> {
    let mut fields = line.trim_ascii_end().split(|&b| b == b'\t');
    let (Some(first), Some(second), None) = (fields.next(), fields.next(), fields.next()) else {
        return Err("expected two fields with a tab between them".into());
    };
    let (answer, text) = if answer_first {
        (first, second)
    } else {
        (second, first)
    };
    let &[digit @ b'0'..=b'9'] = answer.trim_ascii() else {
        let shown: String = String::from_utf8_lossy(answer).chars().take(20).collect();
        return Err(format!("answer `{shown}`, expected one digit"));
    };
    let answer = digit - b'0';
    let symbols = parse_bytes(text).map_err(|e| e.to_string())?;
    let value = evaluate(&symbols).map_err(|e| e.to_string())?;
    if value != answer {
        return Err(format!(
            "the answer is {answer}, but the expression is {value}"
        ));
    }
    Ok((symbols, answer))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{ListOpsConfig, generate};
    use super::*;
    use crate::Silent;

    #[test]
    fn the_binary_form_is_the_original_s() {
        let symbols = parse("[MAX 3 [SM 1 2 5 ] ]").unwrap();
        let text = write_text(&symbols).unwrap();
        assert_eq!(text, "( ( ( [MAX 3 ) ( ( ( ( [SM 1 ) 2 ) 5 ) ] ) ) ] )");
        assert_eq!(parse(&text).unwrap(), symbols);
        assert_eq!(write_text(&[5]).unwrap(), "5");
        assert!(write_text(&[10, 1]).is_err());
    }

    #[test]
    fn words_that_do_not_belong_are_named() {
        let error = |text| parse(text).unwrap_err().to_string();
        assert!(error("[MAX 3 44 ]").contains("symbol 2: `44`"));
        assert!(error("1 ) ").contains("`)` without `(`"));
        assert!(error("( ( 1 )").contains("1 `(` without `)`"));
    }

    fn write(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.tsv");
        fs::write(&path, text).unwrap();
        (dir, path)
    }

    #[test]
    fn both_layouts_are_read() {
        let (_dir, path) = write("Source\tTarget\n( ( ( [MAX 3 ) 4 ) ] )\t4\n7\t7\n");
        let arena = read_tsv(&path, &Silent).unwrap();
        let (_dir, path) = write("4\t( ( ( [MAX 3 ) 4 ) ] )\n7\t7");
        let nyu = read_tsv(&path, &Silent).unwrap();
        assert_eq!(arena, nyu);
        assert_eq!(arena.get(0), Some((&[11, 3, 4, 14][..], 4)));
    }

    #[test]
    fn damaged_lines_are_named() {
        for (text, wanted) in [
            (
                "Source\tTarget\n7\t7\n[MAX 3 4 ]\t3\n",
                "line 3: the answer is 3, but",
            ),
            (
                "Source\tTarget\n7\t7\n[MAX 3 4\t3\n",
                "line 3: ListOps expression: at symbol 3",
            ),
            ("Source\tTarget\n7\t7\n7\n", "line 3: expected two fields"),
            ("Source\tTarget\n7\t7\n7\t7", "line 3: the file ends inside"),
            ("Source\tTarget\n7\t77\n", "line 2: answer `77`"),
            ("Source\tTarget\n", "line 1: there is no expression"),
            ("", "line 1: there is no expression"),
            (
                "Source\tTarget\n\u{fffd}\t7\n",
                "line 2: ListOps expression: at symbol 0",
            ),
        ] {
            let (_dir, path) = write(text);
            let error = read_tsv(&path, &Silent).unwrap_err().to_string();
            assert!(error.contains(&format!("x.tsv: {wanted}")), "{error}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named() {
        let mut corpus = Corpus::new();
        corpus.push(&[7], 7);
        let error = write_tsv(Path::new("/dev/full"), &corpus)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("/dev/full") && error.contains("No space"),
            "{error}"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]

        #[test]
        fn files_come_back(seed in any::<u64>()) {
            let config = ListOpsConfig {
                min_length: 0, max_length: 80, train: 50, validation: 0, test: 1,
                ..ListOpsConfig::default()
            };
            let corpus = generate(&config, seed, &Silent).unwrap().train;
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("x.tsv");
            write_tsv(&path, &corpus).unwrap();
            prop_assert_eq!(read_tsv(&path, &Silent).unwrap(), corpus);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "[0-9 ()\\[\\]MINXAESD\t]{0,60}") {
            if let Ok(symbols) = parse(&text) {
                let _ = evaluate(&symbols);
                let _ = write_text(&symbols);
            }
        }
    }
}
