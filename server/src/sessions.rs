//! Clients on the same machine: requests in, answers out, one request at a time on each connection.

use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use mytism_core::failure::Failure;
use mytism_core::operation::{Closed, Operations, Reply, Request};
use mytism_proto::{Answer, decode_request, encode_answer};
use mytism_transport::local::LocalListener;
use mytism_transport::stream::{FrameStream, FrameWriter};
use tokio::net::UnixStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use crate::node::Shared;
use crate::operations::RunningNode;

/// Connections at once.
const CONNECTIONS: usize = 256;
/// Answers that wait for a client to read them.
const ANSWERS: usize = 256;

/// How long requests that are being carried out may take to end when the node goes down.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a node that goes down still listens to a client.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Takes in clients until the node stops.
pub(crate) async fn listen(shared: Arc<Shared>, listener: LocalListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = JoinSet::new();
    let mut stopping = shared.stopping();
    loop {
        let place = tokio::select! {
            () = stopping.wait() => break,
            Some(_) = tasks.join_next() => continue,
            place = Arc::clone(&places).acquire_owned() => place,
        };
        let Ok(place) = place else { break };
        let stream = tokio::select! {
            () = stopping.wait() => break,
            stream = listener.accept() => stream,
        };
        match stream {
            Ok(stream) => {
                let shared = Arc::clone(&shared);
                tasks.spawn(async move {
                    serve(shared, stream).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!("cannot take in a client: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    // Nobody new, but who has connected already learns that the node goes down.
    listener.retire();
    while let Ok(Ok(stream)) = tokio::time::timeout(LAST_WORDS, listener.accept()).await {
        tasks.spawn(serve(Arc::clone(&shared), stream));
    }
    drop(listener);
    // Requests that are being carried out get a moment, so that whoever waits learns what became of them.
    let all_ended = async { while tasks.join_next().await.is_some() {} };
    let _in_time = tokio::time::timeout(FAREWELL, all_ended).await;
}

async fn serve(shared: Arc<Shared>, stream: UnixStream) {
    let (mut reader, mut writer) = FrameStream::from(stream).split();
    let mut stopping = shared.stopping();
    loop {
        let frame = tokio::select! {
            frame = reader.next() => frame,
            // What is on its way is refused in words, so that nobody has to guess whether it was done.
            () = stopping.wait() => match tokio::time::timeout(LAST_WORDS, reader.next()).await {
                Ok(frame) => frame,
                Err(_) => return,
            },
        };
        let Ok(Some(frame)) = frame else { return };
        if shared.is_stopping() {
            let failure = Failure::failed("node-stops", "the node is going down; nothing was done");
            // The node goes down whether the client reads this or not.
            let _gone = write(&mut writer, &Answer::Failure(failure.hint("start it, then try again"))).await;
            return;
        }
        let request = match decode_request(&frame) {
            Ok(request) => request,
            Err(error) => {
                let failure = Failure::unreachable("request-invalid", format!("the request cannot be read: {error}"))
                    .hint("client and node may be of different versions");
                // After this the client is gone, whether it reads the answer or not.
                let _gone = write(&mut writer, &Answer::Failure(failure)).await;
                return;
            }
        };
        if answer(&shared, request, &mut writer).await.is_err() {
            return;
        }
    }
}

/// Carries out a request beside the tasks and writes its answers as they come.
async fn answer(shared: &Arc<Shared>, request: Request, writer: &mut FrameWriter) -> Result<(), Closed> {
    let (sender, mut answers) = mpsc::channel::<Answer>(ANSWERS);
    let node = RunningNode(Arc::clone(shared));
    let work = tokio::task::spawn_blocking(move || {
        if request == Request::Watch {
            watch(&node, &sender);
            return;
        }
        let result = node.call(request, &mut |reply| sender.blocking_send(Answer::Reply(reply)).map_err(|_| Closed));
        let last = result.map_or_else(Answer::Failure, |()| Answer::End);
        // A client that is gone gets no end.
        let _gone = sender.blocking_send(last);
    });
    let mut result = Ok(());
    while let Some(answer) = answers.recv().await {
        result = write(writer, &answer).await;
        if result.is_err() {
            break;
        }
    }
    drop(answers);
    // The work ends by itself once nobody takes its answers.
    let _ended = work.await;
    result
}

async fn write(writer: &mut FrameWriter, answer: &Answer) -> Result<(), Closed> {
    let frame = match encode_answer(answer) {
        Ok(frame) => frame,
        Err(error) => {
            let failure = Failure::failed("answer-too-large", error.to_string());
            encode_answer(&Answer::Failure(failure)).map_err(|_| Closed)?
        }
    };
    match answer {
        // Rows of a long answer go out together.
        Answer::Reply(
            Reply::Object(_)
            | Reply::Row(_)
            | Reply::Splice(_)
            | Reply::History(_)
            | Reply::UndoLine(_)
            | Reply::Change(_),
        ) => writer.feed(&frame).await,
        _ => writer.send(&frame).await,
    }
    .map_err(|_| Closed)
}

/// Events as they happen, until the client is gone or the node stops.
fn watch(node: &RunningNode, sender: &mpsc::Sender<Answer>) {
    const LOOK: Duration = Duration::from_millis(200);
    let events = node.0.app.watch();
    while !sender.is_closed() && !node.0.is_stopping() {
        match events.recv_timeout(LOOK) {
            Ok(event) => {
                if sender.blocking_send(Answer::Reply(Reply::Event(event))).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    // A client that is gone gets no end.
    let _gone = sender.blocking_send(Answer::End);
}
