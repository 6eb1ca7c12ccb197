//! Rates: totals over totals of an exposure.

use crate::error::Result;
use crate::query::accumulate::{Join, Merged, decimal_power};
use crate::query::output::Shape;

/// The rates of a group: buckets without exposure have none.
pub fn rates(state: &mut Merged, exposure: &mut Merged, shape: &Shape) -> Result<Vec<(u32, i128)>> {
    let (decimals, exposure_decimals) = (state.decimals, exposure.decimals);
    let first_minute = state.first_minute;
    let mut exposures = exposure.rows(Join::Add)?.iter().peekable();
    let mut rates = Vec::new();
    for (bucket, total) in state.rows(Join::Add)? {
        while exposures.next_if(|row| row.0 < *bucket).is_some() {}
        let Some((_, exposed)) = exposures.next_if(|row| row.0 == *bucket && row.1 != 0) else {
            continue;
        };
        let rate = rate((*total, decimals), (*exposed, exposure_decimals));
        rates.push((
            shape.label(*bucket, first_minute),
            i128::from(rate.to_bits()),
        ));
    }
    Ok(rates)
}

/// What one total is for each 1,000 of another, which is not zero.
pub fn rate((total, decimals): (i128, u8), (exposed, exposed_decimals): (i128, u8)) -> f64 {
    let over = total.checked_mul(1_000 * decimal_power(exposed_decimals));
    let under = exposed.checked_mul(decimal_power(decimals));
    match over.zip(under) {
        // Rounded three times: each integer once, and the quotient.
        Some((over, under)) => over as f64 / under as f64,
        None => {
            let scale = decimal_power(exposed_decimals) as f64 / decimal_power(decimals) as f64;
            total as f64 / exposed as f64 * (1_000.0 * scale)
        }
    }
}
