//! Strangers: connections that have not shown yet that they are welcome. How many there are from each address, and
//! what follows from that for the next one.
//!
//! Counts and decides; knows no socket and no clock. Who is welcome is decided by the caller of the listener.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What strangers may do. A change counts for those who come after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// A stranger is cut off after this time.
    pub wait_max: Duration,
    /// So many strangers from one address at most; the next ones are refused.
    pub hard_max: u32,
    /// From so many strangers of one address on, the next ones are answered with a delay.
    pub soft_max: u32,
    /// The delay for the first one above `soft_max`; the second waits twice as long, and so on.
    pub delay_factor: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            wait_max: Duration::from_secs(210),
            hard_max: 150,
            soft_max: 50,
            delay_factor: Duration::from_millis(200),
        }
    }
}

/// Strangers of all addresses together at most, so that many addresses cannot take all memory.
const STRANGERS_MAX: usize = 2_048;

/// What becomes of somebody who knocks.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// He is turned away.
    Refuse {
        /// Whether he is the first one from there since the last stranger from there was let in.
        first: bool,
    },
    /// He has to show first that he is at the address that he claims.
    ProveAddress,
    /// He may come in, after a delay.
    Admit {
        /// Counts until it is dropped.
        stranger: Stranger,
        /// May be nothing.
        delay: Duration,
        /// How long he may stay a stranger, the delay included.
        wait_max: Duration,
    },
}

/// Counts strangers. Shared by the listener and everybody who changes its limits.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    limits: Limits,
    strangers: HashMap<IpAddr, Count>,
    all: usize,
}

#[derive(Debug, Default)]
struct Count {
    strangers: u32,
    refused: bool,
}

impl Gate {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inside { limits, ..Inside::default() })))
    }

    pub(crate) fn set(&self, limits: Limits) {
        self.inside().limits = limits;
    }

    /// Decides about somebody who knocks. `proved`: he is at the address that he claims.
    pub(crate) fn knock(self: &Arc<Self>, from: IpAddr, proved: bool) -> Verdict {
        let from = origin(from);
        let mut inside = self.inside();
        let limits = inside.limits;
        let full = inside.all >= STRANGERS_MAX;
        let count = inside.strangers.entry(from).or_default();
        // Who merely claims an address must not use up what belongs to those who are there.
        if !proved && count.strangers >= limits.soft_max.min(limits.hard_max) / 2 {
            forget_if_empty(&mut inside, from);
            return Verdict::ProveAddress;
        }
        if full || count.strangers >= limits.hard_max {
            let first = !std::mem::replace(&mut count.refused, true);
            forget_if_empty(&mut inside, from);
            return Verdict::Refuse { first };
        }
        count.strangers += 1;
        count.refused = false;
        let delay = limits.delay_factor.saturating_mul(count.strangers.saturating_sub(limits.soft_max));
        inside.all += 1;
        let stranger = Stranger { gate: Arc::clone(self), from };
        Verdict::Admit { stranger, delay, wait_max: limits.wait_max }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_if_empty(inside: &mut Inside, from: IpAddr) {
    if inside.strangers.get(&from).is_some_and(|count| count.strangers == 0) {
        inside.strangers.remove(&from);
    }
}

/// Whose strangers are counted together: an address, or the network of one household in IPv6, where everybody has more
/// addresses than can be counted.
fn origin(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A stranger who is counted. He is one no longer once this is dropped.
#[derive(Debug)]
pub(crate) struct Stranger {
    gate: Arc<Gate>,
    from: IpAddr,
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut inside = self.gate.inside();
        inside.all = inside.all.saturating_sub(1);
        if let Some(count) = inside.strangers.get_mut(&self.from) {
            count.strangers = count.strangers.saturating_sub(1);
        }
        forget_if_empty(&mut inside, self.from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { wait_max: Duration::from_secs(9), hard_max: 4, soft_max: 2, delay_factor: Duration::from_millis(10) };

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The delay in milliseconds, or a word.
    fn words(verdict: &Verdict) -> String {
        match verdict {
            Verdict::Refuse { first: true } => "first refusal".to_owned(),
            Verdict::Refuse { first: false } => "refusal".to_owned(),
            Verdict::ProveAddress => "prove".to_owned(),
            Verdict::Admit { delay, .. } => delay.as_millis().to_string(),
        }
    }

    #[test]
    fn strangers_are_delayed_then_refused() {
        let gate = Gate::new(LIMITS);
        let here = at("10.0.0.1");
        let mut all: Vec<Verdict> = (0..6).map(|_| gate.knock(here, true)).collect();
        let told: Vec<_> = all.iter().map(words).collect();
        assert_eq!(told, ["0", "0", "10", "20", "first refusal", "refusal"]);
        assert_eq!(words(&gate.knock(at("10.0.0.2"), true)), "0", "another address is another matter");
        assert_eq!(words(&gate.knock(at("::ffff:10.0.0.1"), true)), "refusal", "the same address in another form");
        all.remove(0);
        let next = gate.knock(here, true);
        assert_eq!(words(&next), "20", "a place was free again");
        assert_eq!(words(&gate.knock(here, true)), "first refusal");
        gate.set(Limits { hard_max: 5, soft_max: 5, ..LIMITS });
        assert_eq!(words(&gate.knock(here, true)), "0", "as the limits are now");
        drop((all, next));
        assert!(gate.inside().strangers.is_empty() && gate.inside().all == 0, "nothing is left behind");
    }

    #[test]
    fn the_usual_limits_are_those_of_the_manual() {
        let gate = Gate::new(Limits::default());
        let all: Vec<Verdict> = (0..151).map(|_| gate.knock(at("10.0.0.1"), true)).collect();
        let told: Vec<_> = [49, 50, 51, 149, 150].iter().map(|number| words(&all[*number])).collect();
        assert_eq!(told, ["0", "200", "400", "20000", "first refusal"]);
    }

    #[test]
    fn who_only_claims_an_address_takes_nobodys_place() {
        let gate = Gate::new(LIMITS);
        let here = at("10.0.0.1");
        let _claimed = gate.knock(here, false);
        for _ in 0..10 {
            assert_eq!(words(&gate.knock(here, false)), "prove");
        }
        assert_eq!(words(&gate.knock(here, true)), "0");
        gate.set(Limits { hard_max: 1, soft_max: 0, ..LIMITS });
        assert_eq!(words(&gate.knock(at("10.0.0.9"), false)), "prove");
        assert_eq!(words(&gate.knock(at("10.0.0.9"), true)), "10");
        assert_eq!(gate.inside().strangers.len(), 1, "who was sent away is forgotten");
    }

    #[test]
    fn a_network_of_ipv6_is_one_origin() {
        let check = |a: &str, b: &str, same: bool| assert_eq!(origin(at(a)) == origin(at(b)), same, "{a} {b}");
        check("2001:db8::1", "2001:db8::ffff:1", true);
        check("2001:db8::1", "2001:db8:0:1::1", false);
        check("10.0.0.1", "10.0.0.2", false);
    }

    #[test]
    fn many_addresses_are_bounded_together() {
        let gate = Gate::new(LIMITS);
        let address = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        let all: Vec<Verdict> = (1..=STRANGERS_MAX).map(|number| gate.knock(address(number), true)).collect();
        assert_eq!(words(&gate.knock(address(STRANGERS_MAX + 1), true)), "first refusal");
        assert_eq!(gate.inside().strangers.len(), STRANGERS_MAX);
        drop(all);
        assert_eq!(words(&gate.knock(address(STRANGERS_MAX + 1), true)), "0");
    }
}
