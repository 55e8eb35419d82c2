//! Many seeds, one after the other: which of them failed and how.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use mytism_core::id::Hash;

use crate::counters::Counters;
use crate::simulation::Simulation;

thread_local! {
    /// What the last panic of this thread said.
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
}

/// How a run ended.
pub struct Run {
    /// Its seed.
    pub seed: u64,
    /// What happened in it.
    pub counters: Counters,
    /// What does not hold, with the last lines of its trace.
    pub broken: Option<Broken>,
    /// The hash of its trace.
    pub trace: Hash,
}

/// What does not hold.
#[derive(Clone, Debug)]
pub struct Broken {
    /// In words.
    pub message: String,
    /// The last that happened.
    pub tail: String,
}

/// Panics are findings, told where their run is told of; nothing is printed by the way.
fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_test = std::thread::current().name().is_some_and(|name| name != "main");
            let payload = info.payload();
            let text = payload.downcast_ref::<String>().cloned();
            let text = text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            SAID.with_borrow_mut(|said| *said = format!("{} ({place})", text.unwrap_or_default()));
            if is_test && !IN_RUN.with_borrow(|in_run| *in_run) {
                usual(info);
            }
        }));
    });
}

thread_local! {
    static IN_RUN: RefCell<bool> = const { RefCell::new(false) };
}

/// Plays a seed.
#[must_use]
pub fn play(seed: u64, prints: bool) -> Run {
    listen();
    IN_RUN.set(true);
    SAID.with_borrow_mut(String::clear);
    let made = catch_unwind(|| Simulation::new(seed, prints));
    let run = match made {
        Ok(mut simulation) => {
            let result = catch_unwind(AssertUnwindSafe(|| simulation.run()));
            let tail = simulation.trace.tail();
            let counters = std::mem::take(&mut simulation.counters);
            let trace = std::mem::replace(&mut simulation.trace, crate::trace::Trace::new(false)).hash();
            // What broke may be held half; it is let go all the same.
            let _ended = catch_unwind(AssertUnwindSafe(|| drop(simulation)));
            let broken = result.err().map(|_| Broken { message: SAID.with_borrow(Clone::clone), tail });
            Run { seed, counters, broken, trace }
        }
        Err(_) => {
            let broken = Broken { message: SAID.with_borrow(Clone::clone), tail: String::new() };
            Run { seed, counters: Counters::default(), broken: Some(broken), trace: Hash::default() }
        }
    };
    IN_RUN.set(false);
    run
}
