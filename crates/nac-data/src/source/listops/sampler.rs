//! One attempt at one expression, by the rules of `generate_tree` of the Long Range Arena.
//!
//! The original, for a node at depth `d` (the root has depth 1):
//! `r = random() if d < max_depth else 1`; if `r > 0.25` the node is a digit of length 1; else it
//! draws the number of arguments `n` from `2..=max_args`, then its arguments at depth `d + 1`, and
//! only then its operator; its length is 2 plus the lengths of its arguments.
//!
//! Here the recursion is a stack of open operators, with the same draws in the same order.

use super::ListOpsConfig;
use super::vocabulary::{CLOSE, FIRST_OPERATOR, OPERATORS, Symbol};
use crate::random::Stream;

/// Probability that a node above the greatest depth is an operator (`VALUE_P` of the original).
const OPERATOR_PROBABILITY: f64 = 0.25;

struct Open {
    /// Index of its symbol.
    index: usize,
    /// Arguments not yet complete.
    missing: usize,
    /// Where its arguments begin in the list of values.
    first_value: usize,
}

/// Buffers that attempts reuse.
#[derive(Default)]
pub(super) struct Sampler {
    symbols: Vec<Symbol>,
    values: Vec<u8>,
    open: Vec<Open>,
}

impl Sampler {
    /// Draws one expression. `None` if its length is not between the limits.
    ///
    /// With `early`, the attempt ends as soon as the length *must* reach `max_length`: `at_least`
    /// counts every node drawn or promised as one symbol more for each `]`, it never falls, and at
    /// the end it is the length. So an attempt ends early only if it would be refused at its end,
    /// and every other attempt makes the same draws as without `early`. Attempts use draws that no
    /// other attempt uses, so what is drawn after an early end is as independent of the past as
    /// after a late one: the accepted expressions have the same distribution.
    pub(super) fn attempt(
        &mut self,
        config: &ListOpsConfig,
        stream: &mut Stream,
        early: bool,
    ) -> Option<(&[Symbol], u8)> {
        self.symbols.clear();
        self.values.clear();
        self.open.clear();
        let mut at_least = 1;
        loop {
            let depth = self.open.len() + 1;
            let r = if depth < config.max_depth {
                stream.uniform()
            } else {
                1.0
            };
            if r > OPERATOR_PROBABILITY {
                let digit = stream.below(10) as u8;
                self.symbols.push(digit);
                self.values.push(digit);
            } else {
                let missing = 2 + stream.below(config.max_args as u64 - 1) as usize;
                at_least += 1 + missing;
                if early && at_least >= config.max_length {
                    return None;
                }
                let (index, first_value) = (self.symbols.len(), self.values.len());
                self.open.push(Open {
                    index,
                    missing,
                    first_value,
                });
                self.symbols.push(CLOSE);
                continue;
            }
            self.close_complete(stream);
            if self.open.is_empty() {
                break;
            }
        }
        let length = self.symbols.len();
        let kept = config.min_length < length && length < config.max_length;
        kept.then_some((self.symbols.as_slice(), self.values[0]))
    }

    /// Adds the value of a complete node, and completes every operator for which it was the last argument.
    fn close_complete(&mut self, stream: &mut Stream) {
        while let Some(top) = self.open.last_mut() {
            top.missing -= 1;
            if top.missing > 0 {
                return;
            }
            let operator = FIRST_OPERATOR + stream.below(u64::from(OPERATORS)) as u8;
            let (index, first_value) = (top.index, top.first_value);
            let value = apply(operator, &mut self.values[first_value..]);
            self.symbols[index] = operator;
            self.symbols.push(CLOSE);
            self.values.truncate(first_value);
            self.values.push(value);
            self.open.pop();
        }
    }
}

/// The value of an operator for at least one argument; sorts the arguments.
fn apply(operator: Symbol, arguments: &mut [u8]) -> u8 {
    arguments.sort_unstable();
    let n = arguments.len();
    match operator {
        10 => arguments[0],
        11 => arguments[n - 1],
        12 => (arguments[(n - 1) / 2] + arguments[n / 2]) / 2,
        _ => (arguments.iter().map(|&v| usize::from(v)).sum::<usize>() % 10) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slow reference: the original's recursion with strings of symbols.
    fn generate_tree(config: &ListOpsConfig, depth: usize, stream: &mut Stream) -> (Vec<u8>, u8) {
        let r = if depth < config.max_depth {
            stream.uniform()
        } else {
            1.0
        };
        if r > 0.25 {
            let digit = stream.below(10) as u8;
            return (vec![digit], digit);
        }
        let n = 2 + stream.below(config.max_args as u64 - 1) as usize;
        let children: Vec<_> = (0..n)
            .map(|_| generate_tree(config, depth + 1, stream))
            .collect();
        let operator = 10 + stream.below(4) as u8;
        let mut symbols = vec![operator];
        children.iter().for_each(|(s, _)| symbols.extend(s));
        symbols.push(14);
        let mut values: Vec<u8> = children.iter().map(|c| c.1).collect();
        (symbols, apply(operator, &mut values))
    }

    fn config() -> ListOpsConfig {
        ListOpsConfig {
            min_length: 10,
            max_length: 100,
            max_depth: 6,
            ..ListOpsConfig::default()
        }
    }

    #[test]
    fn attempts_equal_the_recursion_and_early_ends_lose_nothing() {
        let config = config();
        let (mut accepted, mut ended_early) = (0, 0);
        for attempt in 0..3_000 {
            let stream = || Stream::new(1, "attempt", &[attempt]);
            let (symbols, value) = generate_tree(&config, 1, &mut stream());
            let wanted = (10 < symbols.len() && symbols.len() < 100).then_some((symbols, value));
            let mut sampler = Sampler::default();
            for early in [false, true] {
                let mut draws = stream();
                let found = sampler.attempt(&config, &mut draws, early);
                let found = found.map(|(s, v)| (s.to_vec(), v));
                assert_eq!(found, wanted, "attempt {attempt}, early {early}");
            }
            accepted += usize::from(wanted.is_some());
            ended_early += usize::from(sampler.open.len() > 1);
        }
        assert!(
            accepted > 200 && ended_early > 100,
            "{accepted} {ended_early}"
        );
    }

    #[test]
    fn a_root_at_the_greatest_depth_is_a_digit() {
        let config = ListOpsConfig {
            min_length: 0,
            max_length: 5,
            max_depth: 1,
            ..config()
        };
        let mut stream = Stream::new(0, "digit", &[]);
        for _ in 0..50 {
            let mut sampler = Sampler::default();
            let (symbols, value) = sampler.attempt(&config, &mut stream, true).unwrap();
            assert_eq!(symbols, [value]);
        }
    }
}
