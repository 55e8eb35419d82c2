//! The streams for contents: a branch opens two beside its line, one on which it asks and one on which the head office
//! does. They end with the connection; one that ends alone is opened again.

use std::sync::Arc;
use std::time::Duration;

use mytism_core::failure::Failure;
use mytism_proto::{PeerMessage, ProtoError};
use mytism_sync::Violation;
use mytism_transport::connection::{PeerConnection, Purpose};
use mytism_transport::stream::{FrameReader, FrameStream, FrameWriter};
use mytism_vault::VaultError;
use tokio::task::JoinSet;

use super::ask::ask;
use super::failure;
use super::give::give;
use crate::line::{GREETING_DEADLINE, LineEnd};
use crate::node::Shared;

/// Pause before a stream that ended alone is opened again.
const PAUSE: Duration = Duration::from_secs(5);

/// At a branch: opens both streams, as long as what is returned is kept.
#[must_use]
pub(crate) fn spawn(shared: &Arc<Shared>, connection: &PeerConnection, head: &str) -> JoinSet<()> {
    let mut streams = JoinSet::new();
    for head_asks in [false, true] {
        let (shared, connection, head) = (Arc::clone(shared), connection.clone(), head.to_owned());
        streams.spawn(async move {
            // Without a connection nothing can be opened, and the one who keeps these streams soon ends them.
            while let Ok(stream) = connection.open(Purpose::Blob).await {
                let end = talk(&shared, stream, &head, head_asks).await;
                told(&head, end);
                tokio::time::sleep(PAUSE).await;
            }
        });
    }
    streams
}

async fn talk(shared: &Arc<Shared>, stream: FrameStream, head: &str, head_asks: bool) -> Result<(), LineEnd> {
    let (mut reader, mut writer) = stream.split();
    send(&mut writer, &PeerMessage::ContentsBegin { head_asks }).await?;
    if head_asks {
        give(&shared.contents, &mut reader, &mut writer).await
    } else {
        ask(&shared.contents, head, &mut reader, &mut writer).await
    }
}

/// At the head office: serves one stream that a known branch has opened.
pub(crate) async fn serve(shared: Arc<Shared>, stream: FrameStream, branch: String) {
    let (mut reader, mut writer) = stream.split();
    let first = tokio::time::timeout(GREETING_DEADLINE, receive(&mut reader)).await;
    let end = match first {
        Ok(Ok(PeerMessage::ContentsBegin { head_asks: true })) => {
            ask(&shared.contents, &branch, &mut reader, &mut writer).await
        }
        Ok(Ok(PeerMessage::ContentsBegin { head_asks: false })) => {
            give(&shared.contents, &mut reader, &mut writer).await
        }
        Ok(Ok(_)) => Err(Violation::unexpected("something else than the begin of a stream for contents").into()),
        Ok(Err(end)) => Err(end),
        Err(_) => Err(LineEnd::Lost("nothing was said on a stream for contents".to_owned())),
    };
    told(&branch, end);
}

/// What ended a stream, in the log. A stream that ends takes no other with it.
fn told(peer: &str, end: Result<(), LineEnd>) {
    match end {
        Ok(()) | Err(LineEnd::Lost(_) | LineEnd::Stopping) => {}
        Err(end) => tracing::warn!("the transfer of files with {peer} stops for a moment: {end}"),
    }
}

/// The next message.
pub(super) async fn receive(reader: &mut FrameReader) -> Result<PeerMessage, LineEnd> {
    loop {
        let frame = match reader.next().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(LineEnd::Lost("the other side closed the stream".to_owned())),
            Err(error) => return Err(LineEnd::Lost(error.to_string())),
        };
        match PeerMessage::decode(&frame) {
            Ok(PeerMessage::Reject { code, message }) => return Err(LineEnd::Rejected { code, message }),
            Ok(message) => return Ok(message),
            Err(ProtoError::Skip { .. }) => {}
            Err(error) => return Err(Violation { code: "unreadable-message", message: error.to_string() }.into()),
        }
    }
}

/// Sends a message, and waits until the transport has taken it.
pub(super) async fn send(writer: &mut FrameWriter, message: &PeerMessage) -> Result<(), LineEnd> {
    let frame = message.encode().map_err(|error| unsendable(&error))?;
    writer.send(&frame).await.map_err(|error| LineEnd::Lost(error.to_string()))
}

/// That a message of this node has no form.
pub(super) fn unsendable(error: &ProtoError) -> LineEnd {
    LineEnd::Own(Failure::failed("unsendable", error.to_string()))
}

/// What went wrong with the vault, or with what came for it.
pub(super) fn vault_end(error: &VaultError) -> LineEnd {
    match error {
        VaultError::OtherBytes { .. } | VaultError::WrongRecipe { .. } => {
            Violation { code: "content-wrong", message: error.to_string() }.into()
        }
        _ => LineEnd::Own(failure(error)),
    }
}
