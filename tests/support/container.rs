//! RabbitMQ in a container, kept by a second process of this test binary: the same orders as `scripts/rabbitmq-node`.
//!
//! The container must end with the tests, and nothing in the test runner's own process is sure to run at its end (see
//! [`super::keeper`]).

use std::io::stdin;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lapin::{Connection, ConnectionProperties};
use testcontainers::core::{ExecCommand, IntoContainerPort as _, Mount};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use super::free_port;

/// Pulling the image included; where it cannot be had, the tests go on without Docker after this.
const START_MAX: Duration = Duration::from_mins(2);

const FOLDER: &str = "CLOCKOUT_TEST_CONTAINER_FOLDER";

struct Kept {
    container: ContainerAsync<GenericImage>,
    amqp: u16,
    tls: u16,
}

/// The command that keeps a container; it adds `folder`/extra.conf to the broker's settings, enables what
/// `folder`/`enabled_plugins` lists, and removes the folder.
pub fn keeper(folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this test binary"));
    command.args(["--ignored", "--nocapture", "--exact"]);
    command.arg("support::container::obey_the_orders_of_standard_input");
    command.env(FOLDER, folder);
    command
}

#[tokio::test]
#[ignore = "no test: the process that keeps a container for the tests"]
async fn obey_the_orders_of_standard_input() {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let mut kept = None;
    for line in stdin().lines() {
        match obey(&mut kept, &folder, &line.unwrap()).await {
            Ok(said) => println!("{said}\ndone"),
            Err(why) => {
                println!("{why}");
                break;
            }
        }
    }
    if let Some(Kept { container, .. }) = kept {
        container.rm().await.unwrap();
    }
    std::fs::remove_dir_all(folder).unwrap();
    // The test runner would go on to print a summary, to whom may be gone.
    std::process::exit(0);
}

async fn obey(kept: &mut Option<Kept>, folder: &Path, line: &str) -> Result<String, String> {
    let Some(kept) = kept else {
        assert_eq!(line, "start", "the first order");
        let new = kept.insert(Kept::start(folder).await?);
        return new.ready().await;
    };
    let container = &kept.container;
    let words: Vec<&str> = line.split('\t').collect();
    let done = match words[..] {
        ["start"] => {
            container.start().await.map_err(|why| why.to_string())?;
            return kept.ready().await;
        }
        ["ctl", ..] => return Ok(kept.ctl(&words[1..]).await),
        ["stop"] => container.stop().await,
        ["kill"] => container.stop_with_timeout(Some(0)).await,
        ["freeze"] => container.pause().await,
        ["thaw"] => container.unpause().await,
        _ => panic!("cannot {line}"),
    };
    done.map(|()| String::new()).map_err(|why| why.to_string())
}

impl Kept {
    async fn start(folder: &Path) -> Result<Kept, String> {
        // Ports of our choice: Docker's would change when the container starts again.
        let (amqp, tls) = (free_port(), free_port());
        let extra = std::fs::read_to_string(folder.join("extra.conf")).unwrap_or_default();
        let listener = if extra.contains("ssl_options") {
            "listeners.ssl.default = 5671\n"
        } else {
            ""
        };
        let path = folder.to_string_lossy().into_owned();
        let mut image = GenericImage::new("rabbitmq", "4")
            .with_mapped_port(amqp, 5672.tcp())
            .with_mapped_port(tls, 5671.tcp())
            .with_mount(Mount::bind_mount(path.clone(), path))
            .with_copy_to(
                "/etc/rabbitmq/conf.d/90-tests.conf",
                (listener.to_owned() + &extra).into_bytes(),
            );
        if let Ok(plugins) = std::fs::read(folder.join("enabled_plugins")) {
            image = image.with_copy_to("/etc/rabbitmq/enabled_plugins", plugins);
        }
        match tokio::time::timeout(START_MAX, image.start()).await {
            Ok(Ok(container)) => Ok(Kept {
                container,
                amqp,
                tls,
            }),
            Ok(Err(why)) => Err(why.to_string().replace('\n', " ")),
            Err(_) => Err(format!("rabbitmq:4 did not start within {START_MAX:?}")),
        }
    }

    /// Waits until clients can connect.
    async fn ready(&self) -> Result<String, String> {
        let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.amqp);
        let answers = async || {
            let attempt = Connection::connect(&url, ConnectionProperties::default());
            let attempt = tokio::time::timeout(Duration::from_secs(2), attempt).await;
            attempt.is_ok_and(|connected| connected.is_ok())
        };
        for _ in 0..300 {
            if answers().await {
                // The TLS listener starts after the plain one.
                self.ctl(&["await_startup"]).await;
                return Ok(format!("amqp={} tls={}", self.amqp, self.tls));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Err("the broker in the container takes no clients".to_owned())
    }

    async fn ctl(&self, arguments: &[&str]) -> String {
        // The cookie lies in the server's home, which is not that of every command in the container.
        let command = ["env", "HOME=/var/lib/rabbitmq", "rabbitmqctl", "-q"];
        let command = ExecCommand::new(command.iter().chain(arguments).copied());
        let mut done = self.container.exec(command).await.unwrap();
        let said = done.stdout_to_vec().await.unwrap();
        let complaint = done.stderr_to_vec().await.unwrap();
        let code = done.exit_code().await.unwrap();
        assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&complaint));
        String::from_utf8_lossy(&said).into_owned()
    }
}
