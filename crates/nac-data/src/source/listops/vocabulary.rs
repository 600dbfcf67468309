//! The 15 symbols of ListOps and their token ids.
//!
//! As in the Long Range Arena's loader, parentheses are dropped and `]` is written `X` in the
//! vocabulary. Ids: 0 pads; 1–10 are the digits 0–9; 11 `[MIN`, 12 `[MAX`, 13 `[MED`, 14 `[SM`;
//! 15 is `X`.

/// A symbol: a digit 0–9, an operator 10–13 (`[MIN`, `[MAX`, `[MED`, `[SM`), or [`CLOSE`].
/// Its token id is one more.
pub type Symbol = u8;

/// Number of token ids, the pad id included.
pub const VOCABULARY: usize = 16;
/// Token id that pads.
pub const PAD: i64 = 0;
/// The symbol that ends the arguments of an operator, `]`.
pub const CLOSE: Symbol = 14;
/// The first operator; there are four.
pub(super) const FIRST_OPERATOR: Symbol = 10;
/// Number of operators.
pub(super) const OPERATORS: u8 = 4;

const TEXTS: [&str; 15] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "[MIN", "[MAX", "[MED", "[SM", "]",
];

/// The symbol as written in the files; `?` beyond the last.
#[must_use]
pub fn symbol_text(symbol: Symbol) -> &'static str {
    TEXTS.get(usize::from(symbol)).copied().unwrap_or("?")
}

/// The symbol of a word of the files.
pub(super) fn symbol_of(word: &[u8]) -> Option<Symbol> {
    match word {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        b"[MIN" => Some(10),
        b"[MAX" => Some(11),
        b"[MED" => Some(12),
        b"[SM" => Some(13),
        b"]" | b"X" => Some(CLOSE),
        _ => None,
    }
}

/// Whether the symbol opens an operator.
pub(super) fn is_operator(symbol: Symbol) -> bool {
    (FIRST_OPERATOR..FIRST_OPERATOR + OPERATORS).contains(&symbol)
}

/// The token id of a symbol.
pub(super) fn token_id(symbol: Symbol) -> i64 {
    i64::from(symbol) + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_symbols_agree() {
        for symbol in 0..=CLOSE {
            assert_eq!(symbol_of(symbol_text(symbol).as_bytes()), Some(symbol));
            assert!((1..VOCABULARY as i64).contains(&token_id(symbol)));
        }
        assert_eq!(symbol_of(b"X"), Some(CLOSE));
        for word in ["10", "[FIRST", "(", "", "[min"] {
            assert_eq!(symbol_of(word.as_bytes()), None, "{word}");
        }
        assert_eq!((10..15).filter(|&s| is_operator(s)).count(), 4);
    }
}
