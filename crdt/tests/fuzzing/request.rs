//! Bytes to a server of HTTP over TCP, and all that it says to them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than an answer takes.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longer than a pause within one.
const MORE_WITHIN: Duration = Duration::from_millis(100);
/// Longer than a server keeps a connection on which nobody sends.
const END_WITHIN: Duration = Duration::from_secs(60);

/// What the server says until it ends the connection, which it does by itself once no more is sent.
///
/// Who sends no more is owed no answer: a server drops what it is about. So a request that is whole
/// is waited for first.
pub(crate) fn answer_to(server: SocketAddr, input: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).unwrap();
    let mut answer = Vec::new();
    // It may have closed the way already, over what it saw first.
    let is_sent = stream.write_all(input).is_ok();
    if is_sent && is_whole(input) {
        stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
        let mut piece = [0; 4_096];
        // Where it keeps the connection after all, nothing follows.
        while let Ok(count @ 1..) = stream.read(&mut piece) {
            answer.extend(&piece[..count]);
            stream.set_read_timeout(Some(MORE_WITHIN)).unwrap();
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    stream.set_read_timeout(Some(END_WITHIN)).unwrap();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        // Bytes that it did not read may reset the connection.
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    answer
}

/// Whether a server waits for no more of it, and ends the connection after the answer.
fn is_whole(input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head.split_once("content-length: ").map(|(_, rest)| rest);
    let length = length.map_or("0", |rest| rest.lines().next().unwrap_or_default());
    let is_chunked = head.contains("transfer-encoding: chunked");
    text.contains("connection: close")
        && length.parse().is_ok_and(|length| body.len() >= length)
        && (!is_chunked || is_one_chunk(body))
}

fn is_one_chunk(body: &str) -> bool {
    let Some((size, rest)) = body.split_once("\r\n") else {
        return false;
    };
    usize::from_str_radix(size, 16).is_ok_and(|size| rest.get(size..) == Some("\r\n0\r\n\r\n"))
}
