//! A proxy between a client and RabbitMQ that swallows AMQP methods of one's choice on their way to either: the connection
//! lives, heartbeats go to and fro, and what was to be heard never comes.

use std::io;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::support::within;

/// Class and method, as AMQP 0-9-1 numbers them.
pub type Method = (u16, u16);

pub const BASIC_CANCEL: Method = (60, 30);
pub const BASIC_PUBLISH: Method = (60, 40);
pub const BASIC_DELIVER: Method = (60, 60);
pub const BASIC_ACK: Method = (60, 80);

const FRAME_METHOD: u8 = 1;
const FRAME_HEARTBEAT: u8 = 8;

#[derive(Default)]
struct Mouth {
    swallows: Mutex<Vec<Method>>,
    swallowed: Notify,
}

pub struct Filter {
    /// What clients are to use in place of the broker's own.
    pub url: String,
    mouths: Mouths,
}

#[derive(Default, Clone)]
struct Mouths {
    to_client: Arc<Mouth>,
    to_broker: Arc<Mouth>,
}

impl Filter {
    /// In front of the broker at `url`; lets everything through.
    pub async fn start(url: &str) -> Filter {
        let address = url.split('@').nth(1).unwrap().split('/').next().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap().to_string();
        let mouths = Mouths::default();
        let (broker, shared) = (address.to_owned(), mouths.clone());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let broker = TcpStream::connect(&broker).await.unwrap();
                tokio::spawn(pass(client, broker, shared.clone()));
            }
        });
        Filter {
            url: url.replace(address, &own),
            mouths,
        }
    }

    /// Of what the broker says, from now on these and no others, on connections that stand and on new ones.
    pub fn swallow(&self, methods: &[Method]) {
        *self.mouths.to_client.swallows.lock().unwrap() = methods.to_vec();
    }

    /// Of what clients say.
    pub fn swallow_from_clients(&self, methods: &[Method]) {
        *self.mouths.to_broker.swallows.lock().unwrap() = methods.to_vec();
    }

    /// Waits until a method was swallowed on its way to a client, unless one has been already.
    pub async fn has_swallowed_one(&self) {
        self.mouths.to_client.has_swallowed_one().await;
    }

    /// Waits until a method was swallowed on its way to the broker, unless one has been already.
    pub async fn has_swallowed_one_of_clients(&self) {
        self.mouths.to_broker.has_swallowed_one().await;
    }
}

impl Mouth {
    async fn has_swallowed_one(&self) {
        within("something to swallow", self.swallowed.notified()).await;
    }
}

async fn pass(client: TcpStream, broker: TcpStream, mouths: Mouths) -> io::Result<()> {
    for stream in [&client, &broker] {
        stream.set_nodelay(true)?;
    }
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_broker, mut to_broker) = broker.into_split();
    let up = async {
        let mut greeting = [0; 8];
        from_client.read_exact(&mut greeting).await?;
        to_broker.write_all(&greeting).await?;
        pass_frames(&mut from_client, &mut to_broker, &mouths.to_broker).await
    };
    let down = pass_frames(&mut from_broker, &mut to_client, &mouths.to_client);
    tokio::select! {
        done = up => done,
        done = down => done,
    }
}

async fn pass_frames(
    from: &mut OwnedReadHalf,
    to: &mut OwnedWriteHalf,
    mouth: &Mouth,
) -> io::Result<()> {
    // Channels on which a swallowed method's content follows.
    let mut muted = Vec::new();
    loop {
        let mut head = [0; 7];
        from.read_exact(&mut head).await?;
        let [kind, c1, c2, s1, s2, s3, s4] = head;
        let channel = u16::from_be_bytes([c1, c2]);
        let size = usize::try_from(u32::from_be_bytes([s1, s2, s3, s4])).unwrap();
        // One more byte ends the frame.
        let mut rest = vec![0; size + 1];
        from.read_exact(&mut rest).await?;
        if kind == FRAME_METHOD {
            let method = (
                u16::from_be_bytes([rest[0], rest[1]]),
                u16::from_be_bytes([rest[2], rest[3]]),
            );
            muted.retain(|muted| *muted != channel);
            if mouth.swallows.lock().unwrap().contains(&method) {
                muted.push(channel);
                mouth.swallowed.notify_one();
            }
        }
        if kind == FRAME_HEARTBEAT || !muted.contains(&channel) {
            to.write_all(&head).await?;
            to.write_all(&rest).await?;
        }
    }
}
