//! As much of etcd's gRPC interface as a load generator needs, straight on HTTP/2: no code generator, and
//! less client CPU per request than a general client takes, to etcd's advantage.

use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use tokio::net::TcpStream;

use crate::load::Put;

/// A connection to one member; clones share it.
#[derive(Clone)]
pub(crate) struct Client {
    sender: SendRequest<Bytes>,
    put: Uri,
    status: Uri,
}

/// What a member says of itself.
pub(crate) struct Status {
    /// Its id.
    pub(crate) member: u64,
    /// The leader's id; zero when there is none.
    pub(crate) leader: u64,
}

impl Client {
    /// Connects. Must run in a [`tokio::task::LocalSet`].
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (sender, connection) =
            h2::client::handshake(stream).await.map_err(|e| e.to_string())?;
        tokio::task::spawn_local(async move {
            // Ends with an error when the member is killed; the requests in flight say so themselves.
            let _ = connection.await;
        });
        let uri = |path| format!("http://{address}{path}").parse::<Uri>();
        Ok(Self {
            sender,
            put: uri("/etcdserverpb.KV/Put").map_err(|e| e.to_string())?,
            status: uri("/etcdserverpb.Maintenance/Status").map_err(|e| e.to_string())?,
        })
    }

    async fn unary(&self, uri: &Uri, message: Bytes) -> Result<Bytes, String> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(HeaderName::from_static("te"), HeaderValue::from_static("trailers"));
        let grpc = HeaderValue::from_static("application/grpc");
        headers.insert(http::header::CONTENT_TYPE, grpc);
        let mut sender = self.sender.clone().ready().await.map_err(|e| e.to_string())?;
        let (response, mut body) =
            sender.send_request(request, false).map_err(|e| e.to_string())?;
        body.send_data(message, true).map_err(|e| e.to_string())?;
        let response = response.await.map_err(|e| e.to_string())?;
        // A refusal may come as headers alone.
        check(response.headers(), false)?;
        let mut body = response.into_body();
        let mut answer = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data.map_err(|e| e.to_string())?;
            body.flow_control().release_capacity(data.len()).map_err(|e| e.to_string())?;
            answer.extend_from_slice(&data);
        }
        let trailers = body.trailers().await.map_err(|e| e.to_string())?;
        check(&trailers.ok_or("no status at the end of the answer")?, true)?;
        Ok(answer.freeze())
    }

    /// Asks the member about itself.
    pub(crate) async fn status(&self) -> Result<Status, String> {
        let answer = self.unary(&self.status, frame(&[])).await?;
        let answer = answer.get(5..).ok_or("an answer without a message")?;
        // StatusResponse { header = 1 { member_id = 2 }, leader = 4 }
        let header = fields(answer).find_map(|f| if f.0 == 1 { f.2 } else { None });
        let number = |message, wanted| fields(message).find(|f| f.0 == wanted).map_or(0, |f| f.1);
        Ok(Status { member: number(header.unwrap_or(&[]), 2), leader: number(answer, 4) })
    }
}

impl Put for Client {
    async fn put(&self, key: Bytes, value: Bytes) -> Result<(), String> {
        // PutRequest { key = 1, value = 2 }
        self.unary(&self.put, frame(&[(1, &key), (2, &value)])).await.map(drop)
    }
}

fn check(headers: &HeaderMap, must_be_there: bool) -> Result<(), String> {
    match headers.get("grpc-status") {
        Some(status) if status.as_bytes() == b"0" => Ok(()),
        None if !must_be_there => Ok(()),
        status => Err(format!("grpc-status {status:?}: {:?}", headers.get("grpc-message"))),
    }
}

/// A gRPC frame with a message of byte fields.
fn frame(fields: &[(u8, &[u8])]) -> Bytes {
    let mut frame =
        BytesMut::with_capacity(5 + fields.iter().map(|f| f.1.len() + 6).sum::<usize>());
    frame.put_slice(&[0; 5]);
    for (number, data) in fields {
        frame.put_u8(number << 3 | 2);
        let mut length = data.len();
        while length >= 0x80 {
            frame.put_u8(length as u8 | 0x80);
            length >>= 7;
        }
        frame.put_u8(length as u8);
        frame.put_slice(data);
    }
    let length = (frame.len() - 5) as u32;
    frame[1..5].copy_from_slice(&length.to_be_bytes());
    frame.freeze()
}

/// The fields of a message: number, value of a varint, bytes of a byte field. Ends at what it cannot read.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, u64, Option<&[u8]>)> {
    std::iter::from_fn(move || {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => Some((tag >> 3, varint(&mut message)?, None)),
            2 => {
                let length = usize::try_from(varint(&mut message)?).ok()?;
                let (data, rest) = message.split_at_checked(length)?;
                message = rest;
                Some((tag >> 3, 0, Some(data)))
            }
            _ => None,
        }
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_back() {
        let long = [7; 300];
        let message = frame(&[(1, b"key"), (2, &long)]);
        assert_eq!(message[..5], [0, 0, 0, 1, 52]);
        let read: Vec<_> = fields(&message[5..]).collect();
        assert_eq!(read, [(1, 0, Some(&b"key"[..])), (2, 0, Some(&long[..]))]);
        let numbers: Vec<_> = fields(&[0x20, 0xac, 0x02]).collect();
        assert_eq!(numbers, [(4, 300, None)]);
    }

    #[test]
    fn a_truncated_message_ends() {
        assert_eq!(fields(&[0x0a, 0x05, 1]).count(), 0);
        assert_eq!(fields(&[0xff; 20]).count(), 0);
    }
}
