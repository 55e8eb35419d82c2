//! The history that a new branch does not have yet: asked for while the node works, the newest first, until all of it is
//! here; and handed out by the head office.
//!
//! It goes over a connection of its own, so that nothing else waits for it, and what is here stands in the database, so
//! that it goes on after every cut and every start. What is in it is for the use cases to check.

use std::sync::Arc;
use std::time::Duration;

use mytism_app::App;
use mytism_app::snapshot::Part;
use mytism_core::failure::Failure;
use mytism_core::id::{Hash, NodeId};
use mytism_format::hash;
use mytism_proto::PeerMessage;
use mytism_sync::Violation;
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::connector::connect;
use mytism_transport::identity::PublicKey;

use crate::head::{blocking, name_of};
use crate::line::{Line, LineEnd};
use crate::node::Shared;

/// How long one attempt to reach the head office may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(5);
/// A piece of history that grows beyond this when it is unpacked is refused.
const PIECE_BYTES_MAX: usize = 256 << 20;

/// Fetches what is missing, until it is here or the node stops.
pub(crate) async fn complete(shared: Arc<Shared>, key: PublicKey) {
    let mut stopping = shared.stopping();
    loop {
        let ended = tokio::select! {
            () = stopping.wait() => return,
            ended = fetch(&shared, key) => ended,
        };
        match ended {
            Ok(()) => return,
            Err(end @ LineEnd::Lost(_)) => tracing::debug!("the history does not come: {end}"),
            Err(end) => tracing::warn!("the history does not come: {end}"),
        }
        tokio::select! {
            () = stopping.wait() => return,
            () = tokio::time::sleep(PAUSE) => {}
        }
    }
}

async fn fetch(shared: &Arc<Shared>, key: PublicKey) -> Result<(), LineEnd> {
    let Some(below) = shared.app.history_begin()? else { return Ok(()) };
    tracing::info!("the history before entry {below} is on its way");
    let connection = reach(shared, key).await?;
    let stream = connection.open(Purpose::Bulk).await.map_err(|lost| LineEnd::Lost(lost.to_string()))?;
    let mut line = Line::new(stream);
    let fetched = ask(&shared.app, &mut line, below, u64::MAX, |_| {}).await;
    line.finish().await;
    connection.close(0, "");
    fetched?;
    tracing::info!("the whole history is here");
    Ok(())
}

async fn reach(shared: &Shared, key: PublicKey) -> Result<PeerConnection, LineEnd> {
    let mut last = LineEnd::Lost("no address of the head office is known".to_owned());
    for address in &shared.config.head_office {
        match connect(&address.to_string(), &shared.key, key, DEADLINE).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = LineEnd::Lost(error.to_string()),
        }
    }
    Err(last)
}

/// Asks for entries below a number until none is missing, or so many bytes of them have come. `told` hears from which
/// entry on all are here.
pub(crate) async fn ask(
    app: &Arc<App>,
    line: &mut Line,
    below: u64,
    enough: u64,
    mut told: impl FnMut(u64),
) -> Result<(), LineEnd> {
    let (mut begin, mut came) = (Some(below), 0);
    while let Some(from) = begin.filter(|_| came < enough) {
        line.send(&PeerMessage::HistoryWant { node: app.identity().node, below: from })?;
        let PeerMessage::History { chunk, hash, .. } = line.next().await? else {
            return Err(Violation::unexpected("something that is no history").into());
        };
        came += chunk.len() as u64;
        let app = Arc::clone(app);
        begin = blocking(move || Ok(app.take_history(&unpack(&chunk, hash)?)?)).await?;
        told(begin.unwrap_or(1));
    }
    Ok(())
}

fn unpack(chunk: &[u8], expected: Hash) -> Result<Vec<u8>, LineEnd> {
    let damaged = |how: String| LineEnd::Own(Failure::failed("damaged-snapshot", how));
    if hash::chunk(chunk) != expected {
        return Err(damaged("a piece of history was damaged on its way".to_owned()));
    }
    zstd::bulk::decompress(chunk, PIECE_BYTES_MAX)
        .map_err(|error| damaged(format!("cannot unpack a piece of history: {error}")))
}

/// Answers a branch that asks for history on a connection of its own, until it has enough.
pub(crate) async fn serve(
    shared: &Arc<Shared>,
    connection: &PeerConnection,
    line: &mut Line,
    node: NodeId,
    below: u64,
) -> Result<(), LineEnd> {
    let key = connection.peer();
    let known = Arc::clone(shared);
    let name = blocking(move || name_of(&known, node, &key)).await?;
    connection.welcome();
    tracing::info!("{name} fetches the history before entry {below}");
    let mut stopping = shared.stopping();
    let mut below = below;
    loop {
        answer(shared, line, below).await?;
        let next = tokio::select! {
            next = line.next() => next,
            () = stopping.wait() => return Err(LineEnd::Stopping),
        };
        below = match next {
            Ok(PeerMessage::HistoryWant { below, .. }) => below,
            Ok(_) => return Err(Violation::unexpected("something else than a question for history").into()),
            // It has what it wanted, or comes again.
            Err(LineEnd::Lost(_)) => return Ok(()),
            Err(end) => return Err(end),
        };
    }
}

/// Sends the entries just below a number.
pub(crate) async fn answer(shared: &Arc<Shared>, line: &Line, below: u64) -> Result<(), LineEnd> {
    let app = Arc::clone(&shared.app);
    let message = blocking(move || {
        let Part { bytes, count } = app.history_below(below)?;
        let chunk = zstd::bulk::compress(&bytes, 1);
        let chunk = chunk
            .map_err(|error| LineEnd::Own(Failure::failed("internal", format!("cannot compress history: {error}"))))?;
        Ok(PeerMessage::History { hash: hash::chunk(&chunk), chunk, count })
    });
    line.send_when_ready(&message.await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_was_damaged_on_its_way_is_refused() {
        let chunk = zstd::bulk::compress(b"entries", 1).unwrap();
        assert_eq!(unpack(&chunk, hash::chunk(&chunk)).unwrap(), b"entries");
        let refused = |chunk: &[u8], expected| match unpack(chunk, expected) {
            Err(LineEnd::Own(failure)) => failure.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(refused(&chunk[1..], hash::chunk(&chunk)), "damaged-snapshot");
        assert_eq!(refused(b"not packed", hash::chunk(b"not packed")), "damaged-snapshot");
    }
}
