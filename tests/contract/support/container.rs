//! RabbitMQ in a container, kept by a second process of this test binary.
//!
//! The container must end with the tests, and nothing in the test runner's own process is sure to run at its end (see
//! [`super::keeper`]).

use std::io::stdin;
use std::process::Command;
use std::time::Duration;

use testcontainers::core::{ExecCommand, IntoContainerPort as _, WaitFor};
use testcontainers::runners::AsyncRunner as _;
use testcontainers::{ContainerAsync, GenericImage, ImageExt as _};

use super::keeper::Keeper;

/// Pulling the image included; where it cannot be had, the tests go on without Docker after this.
const START_MAX: Duration = Duration::from_mins(2);

/// Starts a container; `Err` if no Docker engine answers or it cannot start the image.
pub fn keep() -> Result<Keeper, String> {
    let mut command = Command::new(std::env::current_exe().expect("the path of this test binary"));
    command.args(["--ignored", "--nocapture", "--exact"]);
    command.arg("support::container::keep_a_container_while_standard_input_is_open");
    Keeper::start(command)
}

#[tokio::test]
#[ignore = "no test: the process that keeps the container for the tests"]
async fn keep_a_container_while_standard_input_is_open() {
    let image = GenericImage::new("rabbitmq", "4")
        .with_exposed_port(5672.tcp())
        .with_wait_for(WaitFor::message_on_stdout("Server startup complete"))
        .with_startup_timeout(START_MAX);
    match tokio::time::timeout(START_MAX, image.start()).await {
        Ok(Ok(container)) => serve(container).await,
        Ok(Err(why)) => println!("failed {}", why.to_string().replace('\n', " ")),
        Err(_) => println!("failed rabbitmq:4 did not start within {START_MAX:?}"),
    }
    // The test runner would want to print a summary to whom may be gone.
    std::process::exit(0);
}

async fn serve(container: ContainerAsync<GenericImage>) {
    let port = container.get_host_port_ipv4(5672).await.unwrap();
    println!("ready amqp={port}");
    for expression in stdin().lines().map_while(Result::ok) {
        let command = ["env", "HOME=/var/lib/rabbitmq", "rabbitmqctl", "-q", "eval"];
        let command = ExecCommand::new(command.into_iter().chain([expression.as_str()]));
        let mut done = container.exec(command).await.unwrap();
        let said = done.stderr_to_vec().await.unwrap();
        let code = done.exit_code().await.unwrap();
        assert_eq!(code, Some(0), "{}", String::from_utf8_lossy(&said));
        println!("evaluated");
    }
    container.rm().await.unwrap();
}
