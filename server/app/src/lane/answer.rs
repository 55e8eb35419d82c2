//! How callers wait for the lane, and how many are told at little cost to it.
//!
//! Waking a thread takes some microseconds, which the lane would spend on each save of a group while others wait. So it
//! wakes two, each of whom wakes two others, and so on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

/// Where an answer is left. One that is dropped without an answer ends the wait all the same.
pub(super) struct Answer<T> {
    place: Arc<Mutex<Option<T>>>,
    caller: Option<Caller>,
}

/// Who waits for an answer.
pub(super) struct Waiting<T> {
    place: Arc<Mutex<Option<T>>>,
    caller: Caller,
}

/// A caller, to be told that his answer is there.
#[derive(Clone)]
pub(super) struct Caller(Arc<Call>);

struct Call {
    is_over: AtomicBool,
    thread: Thread,
    /// Whom the caller tells in turn.
    others: Mutex<Vec<Caller>>,
}

/// For a question that this thread asks.
pub(super) fn pair<T>() -> (Answer<T>, Waiting<T>) {
    let (is_over, thread, others) = (AtomicBool::new(false), std::thread::current(), Mutex::default());
    let caller = Caller(Arc::new(Call { is_over, thread, others }));
    let place = Arc::default();
    (Answer { place: Arc::clone(&place), caller: Some(caller.clone()) }, Waiting { place, caller })
}

impl<T> Answer<T> {
    /// Leaves the answer. Returns the caller, who is to be told.
    pub(super) fn give(mut self, answer: T) -> Option<Caller> {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        self.caller.take()
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        tell(self.caller.take().into_iter().collect());
    }
}

/// Tells callers that their answers are there: two of them, who tell the others.
pub(super) fn tell(mut callers: Vec<Caller>) {
    let (first, second) = (callers.pop(), callers.pop());
    let others = callers.split_off(callers.len() / 2);
    if let Some(first) = first {
        first.tell(callers);
    }
    if let Some(second) = second {
        second.tell(others);
    }
}

impl Caller {
    fn tell(self, others: Vec<Self>) {
        *self.0.others.lock().unwrap_or_else(PoisonError::into_inner) = others;
        self.0.is_over.store(true, Ordering::Release);
        self.0.thread.unpark();
    }
}

impl<T> Waiting<T> {
    /// Waits for the answer; `None` where none was given.
    pub(super) fn wait(self) -> Option<T> {
        while !self.caller.0.is_over.load(Ordering::Acquire) {
            std::thread::park();
        }
        tell(std::mem::take(&mut *self.caller.0.others.lock().unwrap_or_else(PoisonError::into_inner)));
        self.place.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_told_whatever_their_number() {
        for count in [0, 1, 2, 3, 10, 100] {
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::scope(|scope| {
                let asking: Vec<_> = (0..count)
                    .map(|number| {
                        let sender = sender.clone();
                        scope.spawn(move || {
                            let (answer, waiting) = pair();
                            sender.send((number, answer)).unwrap();
                            drop(sender);
                            waiting.wait()
                        })
                    })
                    .collect();
                let answers: Vec<_> = (0..count).map(|_| receiver.recv().unwrap()).collect();
                tell(answers.into_iter().filter_map(|(number, answer)| answer.give(number)).collect());
                for (number, thread) in asking.into_iter().enumerate() {
                    assert_eq!(thread.join().unwrap(), Some(number));
                }
            });
        }
    }

    #[test]
    fn an_answer_that_is_dropped_ends_the_wait() {
        let (answer, waiting) = pair::<u8>();
        drop(answer);
        assert_eq!(waiting.wait(), None);
    }
}
