//! Bytes that lie about lengths cost no memory. One test, so that the process measures nothing else.

use mytism_proto::{PeerMessage, decode_answer, decode_request};

/// A line of the kernel's account of this process, in KiB; `None` where there is no such kernel.
fn kib(line: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let found = status.lines().find(|found| found.starts_with(line))?;
    found.split_whitespace().nth(1)?.parse().ok()
}

/// A whole message with the body `{"key": claim…}`.
fn message(kind: u16, key: u8, claim: &[u8]) -> Vec<u8> {
    let body = [&[0x81, 0xa1, key], claim].concat();
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&kind.to_be_bytes()[..], &[1, 0], &length.to_be_bytes(), &body].concat()
}

#[test]
fn lengths_that_lie_take_no_memory() {
    let before = (kib("VmPeak:"), kib("VmHWM:"));
    // Lists, maps, texts, bytes and extensions of 4 GiB where Offer, Entries, BlockGrant, Save, Query, Import, Saved,
    // Row and Imported have a list or bytes, and in a field that nobody knows.
    let places = [
        (0x0210, b't'),
        (0x0210, b's'),
        (0x0211, b'f'),
        (0x0221, b'b'),
        (0x0251, b'd'),
        (0x0301, b'c'),
        (0x0302, b'p'),
        (0x0305, b'w'),
        (0x0381, b'i'),
        (0x0383, b'v'),
        (0x0385, b'w'),
        (0x0210, b'?'),
    ];
    for (kind, key) in places {
        for claim in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
            let lie = message(kind, key, &[claim, 0xff, 0xff, 0xff, 0xff, 0xc0, 0xc0]);
            assert!(
                PeerMessage::decode(&lie).is_err() && decode_request(&lie).is_err() && decode_answer(&lie).is_err()
            );
        }
        // An envelope that claims 4 GiB.
        let mut lie = message(kind, key, &[0x90]);
        lie.splice(4..8, [0xff; 4]);
        assert!(PeerMessage::decode(&lie).is_err() && decode_request(&lie).is_err() && decode_answer(&lie).is_err());
        // A list of lists that each claim what is left.
        let mut lists = vec![0xdc, 0xff, 0xff];
        lists.extend([0xdc, 0x7f, 0xff].repeat(40_000));
        let lie = message(kind, key, &lists);
        assert!(PeerMessage::decode(&lie).is_err() && decode_request(&lie).is_err() && decode_answer(&lie).is_err());
    }
    let after = (kib("VmPeak:"), kib("VmHWM:"));
    if let ((Some(peak), Some(resident)), (Some(peak_after), Some(resident_after))) = (before, after) {
        assert!(peak_after - peak < 64 << 10, "{} KiB of addresses", peak_after - peak);
        assert!(resident_after - resident < 4 << 10, "{} KiB of memory", resident_after - resident);
    }
}
