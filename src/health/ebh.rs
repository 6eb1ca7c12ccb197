//! Many branches, many metrics: the e-value Benjamini–Hochberg procedure (Wang
//! and Ramdas 2022), which holds the share of false discoveries at alpha
//! whatever the dependence of the evidence.

/// Which of the hypotheses are rejected at one look: with K of them in all
/// (those without evidence included), the k* = max{k : e_(k) ≥ K/(α·k)}
/// largest. Evidence as natural logarithms.
pub fn rejected(log_e: &[f64], hypotheses: usize, alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..log_e.len()).collect();
    order.sort_by(|left, right| log_e[*right].total_cmp(&log_e[*left]));
    let all = hypotheses.max(log_e.len()) as f64;
    let enough = |(rank, index): (usize, &usize)| {
        let needed = (all / (alpha * (rank + 1) as f64)).ln();
        (log_e[*index] >= needed).then_some(rank + 1)
    };
    let count = order
        .iter()
        .enumerate()
        .filter_map(enough)
        .max()
        .unwrap_or(0);
    let mut rejected = vec![false; log_e.len()];
    for index in &order[..count] {
        rejected[*index] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_the_largest_that_reach_their_step() {
        let log = |values: &[f64]| values.iter().map(|value| value.ln()).collect::<Vec<_>>();
        assert_eq!(rejected(&log(&[19.0]), 1, 0.05), [false]);
        assert_eq!(rejected(&log(&[20.0001]), 1, 0.05), [true]);
        // K = 4: the steps are 80, 40, 26.7 and 20.
        let evidence = log(&[30.0, 1.0, 45.0, 28.0]);
        assert_eq!(rejected(&evidence, 4, 0.05), [true, false, true, true]);
        assert_eq!(rejected(&evidence, 8, 0.05), [false; 4]);
        assert!(rejected(&[], 10, 0.05).is_empty());
    }
}
