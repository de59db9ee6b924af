//! A link: a TCP proxy that carries bytes as told, well or badly.
//!
//! *Weather* lasts and is felt by every connection, old and new. A *blow* strikes the connections that stand, once.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, broadcast, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::record::Record;
use crate::tap::{Overheard, Tap, Way};

/// Most bytes carried at once.
const CHUNK_BYTES: usize = 16 * 1024;

/// 40 kB a second, as if a modem were between: little enough to be felt, and enough for heartbeats.
const THROTTLED_PER_BYTE: Duration = Duration::from_micros(25);

/// Of a throttled link.
const THROTTLED_CHUNK_BYTES: usize = 2 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

const DELAY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Connections stand, and nothing is carried.
    Frozen,
    /// Every chunk is late.
    Delayed,
    Throttled,
    /// Nobody listens: the kernel refuses every new connection.
    Refused,
}

#[derive(Debug, Clone, Copy)]
pub enum Blow {
    /// The connection is reset on both sides.
    Reset,
    /// It is reset once so many more bytes were carried.
    ResetAfter(usize),
    /// The far side is reset; the near side stays open for ever, and what it sends goes nowhere.
    HalfOpen,
}

/// Listens on the near side; ends with all its connections when dropped.
pub struct Link {
    port: u16,
    state: Arc<State>,
    _listening: AbortOnDropHandle<()>,
}

struct State {
    far: SocketAddr,
    weather: watch::Sender<Weather>,
    blows: broadcast::Sender<Blow>,
    /// Something was carried from the far side to the near one.
    answered: Notify,
    /// It held a confirm.
    confirmed: Notify,
    /// Who is told what new connections carry, if they lead to a RabbitMQ node.
    record: Mutex<Option<Arc<Record>>>,
}

/// What both directions of a connection share.
struct Wire<'s> {
    state: &'s State,
    /// Bytes that it still carries before it is reset.
    allowance: AtomicUsize,
    reading: Option<Reading>,
}

/// Whoever is told what a connection carries, and reads it.
struct Reading {
    record: Arc<Record>,
    tap: Mutex<Tap>,
}

impl Wire<'_> {
    fn new(state: &State) -> Wire<'_> {
        let record = state.record.lock().expect("nobody panics with it").clone();
        Wire {
            state,
            allowance: AtomicUsize::new(usize::MAX),
            reading: record.map(|record| Reading {
                record,
                tap: Mutex::default(),
            }),
        }
    }

    /// Says whether these bytes complete a confirm.
    fn read(&self, way: Way, bytes: &[u8]) -> bool {
        let Some(Reading { record, tap }) = &self.reading else {
            return false;
        };
        let overheard = tap.lock().expect("nobody panics with it").read(way, bytes);
        for overheard in &overheard {
            record.overhear(overheard);
        }
        let is_confirm = |overheard: &Overheard| matches!(overheard, Overheard::Confirmed(_));
        overheard.iter().any(is_confirm)
    }

    /// Something has arrived.
    fn tell(&self, way: Way, is_confirm: bool) {
        if way == Way::Back {
            self.state.answered.notify_waiters();
        }
        if is_confirm {
            self.state.confirmed.notify_waiters();
        }
    }
}

impl State {
    /// Waits until new connections are refused, or are not.
    async fn refuses(&self, refused: bool) {
        let mut weather = self.weather.subscribe();
        let as_said = |weather: &Weather| (*weather == Weather::Refused) == refused;
        let said = weather.wait_for(as_said).await;
        said.expect("the sender is kept here");
    }
}

impl Link {
    pub async fn to(far: SocketAddr) -> Link {
        let near = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = near.local_addr().expect("it listens").port();
        let state = Arc::new(State {
            far,
            weather: watch::Sender::new(Weather::Fair),
            blows: broadcast::Sender::new(16),
            answered: Notify::new(),
            confirmed: Notify::new(),
            record: Mutex::default(),
        });
        let listening = tokio::spawn(listen(near, Arc::clone(&state)));
        Link {
            port,
            state,
            _listening: AbortOnDropHandle::new(listening),
        }
    }

    /// Of the near side.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn weather(&self, weather: Weather) {
        self.state.weather.send_replace(weather);
    }

    pub fn strike(&self, blow: Blow) {
        // Nobody hears it if no connection stands.
        self.state.blows.send(blow).ok();
    }

    /// Tells this record of what the connections carry that begin from now on; the far side is a RabbitMQ node.
    pub fn report_to(&self, record: &Arc<Record>) {
        let record = Some(Arc::clone(record));
        *self.state.record.lock().expect("nobody panics with it") = record;
    }

    /// Waits until the far side has said something.
    pub async fn answered(&self) {
        self.state.answered.notified().await;
    }

    /// Waits until the far side has confirmed what was published, if it is told what its connections carry.
    pub async fn confirmed(&self) {
        self.state.confirmed.notified().await;
    }
}

async fn listen(mut near: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // First, so that nobody is let in who comes after the weather has changed.
            biased;
            () = state.refuses(true) => {
                near = refuse(near, &state).await.expect("the port is its own");
            }
            accepted = near.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let blows = state.blows.subscribe();
                connections.spawn(connection(stream, blows, Arc::clone(&state)));
            }
            Some(ended) = connections.join_next() => ended.expect("it carries AMQP"),
        }
    }
}

/// Listens no more until the weather is better.
async fn refuse(near: TcpListener, state: &State) -> io::Result<TcpListener> {
    let at = near.local_addr()?;
    drop(near);
    // Bound without listening: the port is kept, and nobody answers there.
    let kept = TcpSocket::new_v4()?;
    kept.set_reuseaddr(true)?;
    kept.bind(at)?;
    state.refuses(false).await;
    kept.listen(BACKLOG)
}

/// Carries until either side closes or a blow ends it. A side that goes away takes the other with it, by a reset.
async fn connection(mut near: TcpStream, mut blows: broadcast::Receiver<Blow>, state: Arc<State>) {
    // By default a dropped stream says goodbye in good order, which no broken link does.
    near.set_zero_linger().ok();
    let Ok(mut far) = TcpStream::connect(state.far).await else {
        return;
    };
    for stream in [&near, &far] {
        stream.set_nodelay(true).ok();
    }
    far.set_zero_linger().ok();
    let wire = Wire::new(&state);
    let half_open = {
        let (near_reads, near_writes) = near.split();
        let (far_reads, far_writes) = far.split();
        let out = carry(near_reads, far_writes, Way::Out, &wire);
        let back = carry(far_reads, near_writes, Way::Back, &wire);
        tokio::pin!(out, back);
        loop {
            tokio::select! {
                _ = &mut out => break false,
                _ = &mut back => break false,
                blow = blows.recv() => match blow {
                    Ok(Blow::ResetAfter(bytes)) => wire.allowance.store(bytes, Ordering::Relaxed),
                    Ok(Blow::HalfOpen) => break true,
                    Ok(Blow::Reset) | Err(_) => break false,
                }
            }
        }
    };
    drop(far);
    if half_open {
        let mut lost = vec![0; CHUNK_BYTES];
        while near.read(&mut lost).await.is_ok_and(|bytes| bytes > 0) {}
    }
}

/// One direction, until its end. `Err` also where the connection's allowance is used up. What is carried is read before it
/// arrives, so ahead of any answer to it.
async fn carry(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    way: Way,
    wire: &Wire<'_>,
) -> io::Result<()> {
    let mut weather = wire.state.weather.subscribe();
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let room = match *weather.borrow_and_update() {
            Weather::Throttled => THROTTLED_CHUNK_BYTES,
            _ => CHUNK_BYTES,
        };
        let bytes = from.read(&mut chunk[..room]).await?;
        if bytes == 0 {
            return Ok(());
        }
        let frozen = |weather: &Weather| *weather == Weather::Frozen;
        while frozen(&weather.borrow_and_update()) {
            weather.changed().await.map_err(io::Error::other)?;
        }
        let now = *weather.borrow();
        match now {
            Weather::Delayed => sleep(DELAY).await,
            Weather::Throttled => {
                sleep(THROTTLED_PER_BYTE * u32::try_from(bytes).unwrap_or(u32::MAX)).await;
            }
            Weather::Fair | Weather::Frozen | Weather::Refused => {}
        }
        let left = wire.allowance.load(Ordering::Relaxed);
        let carried = &chunk[..bytes.min(left)];
        let is_confirm = wire.read(way, carried);
        to.write_all(carried).await?;
        if bytes >= left {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        if left != usize::MAX {
            wire.allowance.store(left - bytes, Ordering::Relaxed);
        }
        wire.tell(way, is_confirm);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_a_link_refuses_nobody_listens_until_the_weather_is_better() {
        let far = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let link = Link::to(far.local_addr().unwrap()).await;
        link.weather(Weather::Refused);
        until(&link, |outcome| {
            outcome == Err(io::ErrorKind::ConnectionRefused)
        })
        .await;
        link.weather(Weather::Fair);
        until(&link, |outcome| outcome == Ok(())).await;
    }

    /// Connects until it comes out as wanted; at first a link does not know its weather.
    async fn until(link: &Link, wanted: impl Fn(Result<(), io::ErrorKind>) -> bool) {
        let connecting = async {
            loop {
                let connected = TcpStream::connect(("127.0.0.1", link.port())).await;
                if wanted(connected.map(drop).map_err(|error| error.kind())) {
                    break;
                }
                tokio::task::yield_now().await;
            }
        };
        let patience = Duration::from_secs(10);
        timeout(patience, connecting).await.expect("it changes");
    }
}
