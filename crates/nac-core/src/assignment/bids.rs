//! Bidding: a row takes its cheapest column and raises its price for others, up to the point where
//! its second choice would be as good (Jonker and Volgenant's augmenting row reduction).

use super::state::{Rows, State};

/// One round of bids by the rows without a column, in order; returns those that have none after it.
///
/// A row that loses its column bids again at once if the column's price rose;
/// after a tie it waits, so that rows do not take a column from each other for ever.
pub(super) fn round(rows: Rows<'_>, state: &mut State, free: Vec<usize>) -> Vec<usize> {
    let mut waiting = Vec::new();
    // Prices rise in ever smaller steps where rows are alike, so the number of bids is limited.
    let mut bids_left = 2 * rows.n + free.len();
    for row in free {
        let mut bidder = Some(row);
        while let Some(row) = bidder {
            let Some(bid) = Bid::of(rows.row(row), &state.potentials) else {
                waiting.push(row);
                break;
            };
            let raise = bid.second - bid.least;
            let mut column = bid.column;
            if raise > 0.0 {
                state.potentials[column] -= raise;
            } else if state.row_of[column].is_some() {
                // Of two equally cheap columns the first is taken: the other may be free.
                column = bid.second_column;
            }
            let loser = state.assign(row, column);
            bids_left = bids_left.saturating_sub(1);
            bidder = loser.filter(|_| raise > 0.0 && bids_left > 0);
            if bidder.is_none() {
                waiting.extend(loser);
            }
        }
    }
    waiting
}

/// A row's two cheapest columns.
struct Bid {
    column: usize,
    second_column: usize,
    least: f64,
    second: f64,
}

impl Bid {
    /// `None` if there are fewer than two columns.
    fn of(costs: &[f64], potentials: &[f64]) -> Option<Self> {
        let mut prices = costs.iter().zip(potentials).map(|(c, v)| c - v).enumerate();
        let (first, second) = (prices.next()?, prices.next()?);
        let (low, high) = if second.1 < first.1 {
            (second, first)
        } else {
            (first, second)
        };
        let mut bid = Self {
            column: low.0,
            least: low.1,
            second_column: high.0,
            second: high.1,
        };
        for (column, price) in prices {
            if price < bid.second {
                if price < bid.least {
                    (bid.second, bid.second_column) = (bid.least, bid.column);
                    (bid.least, bid.column) = (price, column);
                } else {
                    (bid.second, bid.second_column) = (price, column);
                }
            }
        }
        Some(bid)
    }
}
