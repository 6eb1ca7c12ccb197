//! Memory and bytes written, as the system tells them (zero where it does not).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A line of `/proc/self/status`, in KiB.
fn status_kib(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with(field));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse().ok());
    kib.unwrap_or(0)
}

/// Bytes this process caused to be written to the medium.
pub fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap_or_default();
    let line = io
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    line.and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}

/// Watches the anonymous memory of this process, looking every 20 ms: the
/// system keeps the peak of all resident memory, mapped files included, alone.
/// Its peaks are printed when it is dropped.
pub struct Watch {
    peak_kib: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub fn start() -> Self {
        // Forgets the peak of all resident memory so far.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let peak_kib = Arc::new(AtomicU64::new(status_kib("RssAnon")));
        let stop = Arc::new(AtomicBool::new(false));
        let (peak, stopped) = (peak_kib.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                peak.fetch_max(status_kib("RssAnon"), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Watch {
            peak_kib,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the watch does not panic");
        }
        let anonymous = self
            .peak_kib
            .load(Ordering::Relaxed)
            .max(status_kib("RssAnon"));
        println!(
            "peak memory: {:.1} MiB resident, {:.1} MiB anonymous",
            status_kib("VmHWM") as f64 / 1_024.0,
            anonymous as f64 / 1_024.0
        );
    }
}
