//! An assignment of least cost by the plain method: row after row takes a shortest path to a free
//! column, from potentials of zero. It represents the solver that the authors' code calls, which
//! works so too (`scipy.optimize.linear_sum_assignment`).

/// The column of each row of the `n × n` costs.
pub(crate) fn assign(costs: &[f64], n: usize) -> Vec<usize> {
    let (mut of_rows, mut of_columns) = (vec![0.0; n], vec![0.0; n]);
    let mut row_of: Vec<Option<usize>> = vec![None; n];
    let mut column_of: Vec<Option<usize>> = vec![None; n];
    for start in 0..n {
        let (mut length, mut from) = (vec![f64::INFINITY; n], vec![start; n]);
        let mut unsettled: Vec<usize> = (0..n).collect();
        let mut settled: Vec<usize> = Vec::new();
        let (mut row, mut least) = (start, 0.0);
        let end = loop {
            let (mut nearest, mut at) = (f64::INFINITY, 0);
            for (slot, &j) in unsettled.iter().enumerate() {
                let through = least + costs[row * n + j] - of_rows[row] - of_columns[j];
                if through < length[j] {
                    (length[j], from[j]) = (through, row);
                }
                let free_tie = length[j] == nearest && row_of[j].is_none();
                if length[j] < nearest || free_tie {
                    (nearest, at) = (length[j], slot);
                }
            }
            least = nearest;
            let column = unsettled.swap_remove(at);
            match row_of[column] {
                None => break column,
                Some(owner) => row = owner,
            }
            settled.push(column);
        };
        of_rows[start] += least;
        for &j in &settled {
            if let Some(owner) = row_of[j] {
                of_rows[owner] += least - length[j];
            }
            of_columns[j] -= least - length[j];
        }
        let mut column = end;
        loop {
            let row = from[column];
            row_of[column] = Some(row);
            match column_of[row].replace(column) {
                Some(left) if row != start => column = left,
                _ => break,
            }
        }
    }
    column_of.into_iter().flatten().collect()
}
