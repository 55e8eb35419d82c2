//! What clients ask and what they are answered: one request, then any number of replies, then the end or a failure.

use mytism_core::failure::Failure;
use mytism_core::operation::{Reply, Request};

use crate::body;
use crate::error::ProtoError;
use crate::kind;
use crate::wire::{Mirror, reply, request};

/// What a node says to a client.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// One answer; more may follow.
    Reply(Reply),
    /// The request is carried out, all answers are given. The next request may come.
    End,
    /// The request failed, the answers before stand. The next request may come.
    Failure(Failure),
}

/// The whole message for a request.
///
/// # Errors
/// When it is larger than its limit, is nested too deeply or has more items than any reader takes.
pub fn encode_request(request: &Request) -> Result<Vec<u8>, ProtoError> {
    request::write(request, body::ROOM)
}

/// Reads the whole message of a request.
///
/// # Errors
/// [`ProtoError::Skip`] where it may be passed over; otherwise what is wrong with it.
pub fn decode_request(bytes: &[u8]) -> Result<Request, ProtoError> {
    let (kind, body) = body::open(bytes)?;
    request::read(kind, body)?.ok_or(ProtoError::Unexpected { message: kind.name })
}

/// The whole message for an answer.
///
/// # Errors
/// When it is larger than its limit, is nested too deeply, has a number that is not finite or has more items than any
/// reader takes.
pub fn encode_answer(answer: &Answer) -> Result<Vec<u8>, ProtoError> {
    match answer {
        Answer::Reply(reply) => reply::write(reply, body::ROOM),
        Answer::End => body::write(&kind::END, 1, &reply::End::new()),
        Answer::Failure(failure) => {
            let wire = failure.to_wire().map_err(|flaw| flaw.of(&kind::FAILURE))?;
            body::write(&kind::FAILURE, body::ROOM, &wire)
        }
    }
}

/// Reads the whole message of an answer.
///
/// # Errors
/// [`ProtoError::Skip`] where it may be passed over; otherwise what is wrong with it.
pub fn decode_answer(bytes: &[u8]) -> Result<Answer, ProtoError> {
    let (kind, body) = body::open(bytes)?;
    if let Some(reply) = reply::read(kind, body)? {
        return Ok(Answer::Reply(reply));
    }
    if *kind == kind::END {
        return body::read::<reply::End<'_>>(kind, body).map(|_| Answer::End);
    }
    if *kind == kind::FAILURE {
        return Failure::from_wire(body::read(kind, body)?).map(Answer::Failure).map_err(|flaw| flaw.of(kind));
    }
    Err(ProtoError::Unexpected { message: kind.name })
}
