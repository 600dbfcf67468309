//! Evaluation of an expression, apart from the generator and without recursion.
//!
//! For each open operator it keeps how often each digit occurred (ten counters), from which all
//! four operators follow: `[MIN`/`[MAX` are the first/last digit that occurred, `[SM` is the sum
//! modulo 10, `[MED` is `int(numpy.median(args))`: the middle, or half the sum of the two middle
//! ones, rounded down.

use super::vocabulary::{CLOSE, Symbol, is_operator};
use crate::DataError;

/// An operator whose arguments are still being read.
struct Open {
    operator: Symbol,
    counts: [usize; 10],
}

impl Open {
    fn total(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The argument at `rank` in rising order.
    fn ranked(&self, rank: usize) -> u8 {
        let mut passed = 0;
        for (digit, count) in (0u8..).zip(self.counts) {
            passed += count;
            if rank < passed {
                return digit;
            }
        }
        9
    }

    fn value(&self) -> u8 {
        let total = self.total();
        match self.operator {
            10 => self.ranked(0),
            11 => self.ranked(total - 1),
            12 => (self.ranked((total - 1) / 2) + self.ranked(total / 2)) / 2,
            _ => {
                let sum: usize = (0..10)
                    .zip(self.counts)
                    .map(|(digit, count)| digit * count)
                    .sum();
                (sum % 10) as u8
            }
        }
    }
}

/// The value of an expression, a digit.
///
/// ```
/// use nac_data::source::listops::{evaluate, parse};
/// let symbols = parse("[MAX 2 9 [MIN 4 7 ] 0 ]").unwrap();
/// assert_eq!(evaluate(&symbols).unwrap(), 9);
/// ```
///
/// # Errors
/// [`DataError::Expression`] with the position of the symbol that does not fit.
pub fn evaluate(symbols: &[Symbol]) -> Result<u8, DataError> {
    let wrong = |position: usize, reason: &str| {
        Err(DataError::Expression {
            position,
            reason: reason.into(),
        })
    };
    let mut open: Vec<Open> = Vec::new();
    let mut answer = None;
    for (position, &symbol) in symbols.iter().enumerate() {
        if answer.is_some() {
            return wrong(position, "the expression was already complete");
        }
        let value = match symbol {
            0..=9 => symbol,
            _ if is_operator(symbol) => {
                open.push(Open {
                    operator: symbol,
                    counts: [0; 10],
                });
                continue;
            }
            CLOSE => match open.pop() {
                Some(done) if done.total() > 0 => done.value(),
                Some(_) => return wrong(position, "an operator has no argument"),
                None => return wrong(position, "`]` closes no operator"),
            },
            _ => return wrong(position, "no such symbol"),
        };
        match open.last_mut() {
            Some(parent) => parent.counts[usize::from(value)] += 1,
            None => answer = Some(value),
        }
    }
    match answer {
        Some(value) => Ok(value),
        None if symbols.is_empty() => wrong(0, "there is no symbol"),
        None => wrong(symbols.len(), "the expression ends inside an operator"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::text::parse;
    use super::*;

    #[test]
    fn known_answers() {
        for (text, answer) in [
            ("7", 7),
            ("[MIN 3 8 5 ]", 3),
            ("[MAX 3 8 5 ]", 8),
            ("[MED 3 8 5 ]", 5),
            ("[MED 3 8 ]", 5),
            ("[MED 9 0 1 4 ]", 2),
            ("[MED 8 9 ]", 8),
            ("[SM 9 9 9 ]", 7),
            ("[SM [MAX 1 2 ] [MIN 9 4 ] 5 ]", 1),
            ("( ( ( [MAX 2 ) ( ( ( [MED 1 ) 4 ) ] ) ) ] )", 2),
        ] {
            assert_eq!(evaluate(&parse(text).unwrap()).unwrap(), answer, "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused_at_its_place() {
        for (symbols, position) in [
            (&[][..], 0),
            (&[10, 1, 2], 3),
            (&[1, 2], 1),
            (&[14], 0),
            (&[10, 14], 1),
            (&[10, 1, 2, 14, 14], 4),
            (&[10, 1, 15, 14], 2),
        ] {
            match evaluate(symbols) {
                Err(DataError::Expression {
                    position: found, ..
                }) => assert_eq!(found, position),
                other => panic!("{symbols:?} gave {other:?}"),
            }
        }
    }

    #[test]
    fn depth_is_no_danger() {
        let depth = 1_000_000;
        let mut symbols = vec![10; depth];
        symbols.push(4);
        symbols.extend(vec![14; depth]);
        assert_eq!(evaluate(&symbols).unwrap(), 4);
    }
}
