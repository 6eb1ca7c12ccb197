//! A batch's payload of any bytes: refused or read, and read the same again.

use hotstove::Kind;
use hotstove::internals::format::batch;

fn kind(number: u32) -> Option<(u32, Kind)> {
    let kind = match number % 4 {
        0 => Kind::Counter,
        1 => Kind::Sum { decimals: 3 },
        2 => Kind::Gauge,
        _ => return None,
    };
    Some((number, kind))
}

pub fn run(payload: &[u8]) {
    let Ok(front) = batch::decode(payload) else {
        return;
    };
    let (mut deltas, mut kinds) = (Vec::new(), Vec::new());
    if front.deltas(kind, &mut deltas, &mut kinds).is_ok() {
        assert_eq!(deltas.len(), kinds.len());
        assert!(
            deltas
                .iter()
                .all(|delta| delta.minute < hotstove::limits::MINUTE_END)
        );
    }
}
