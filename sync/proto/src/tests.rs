//! Tests of the messages as a whole: golden bytes, round trips, old and new versions, hostile bytes, and the document.

mod document;
mod evolution;
mod golden;
mod hostile;
mod round_trip;
mod strategies;

/// Bytes as hexadecimal digits.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
