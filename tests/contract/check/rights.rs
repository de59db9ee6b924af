//! Rights at RabbitMQ as `check` finds them out: each that is missing is named, and none is used.

use super::*;

/// Configure, write and read, for a topology of the default names.
type Rights = [&'static str; 3];

const ALL: &str = r"^clockout\.(jobs|results|dead)$";
const CHECKS: Rights = ["^$", r"^clockout\.(results|dead)$", r"^clockout\.jobs$"];

/// The node's place as a user with these rights sees it.
fn user(node: &Node, name: &str, rights: Rights) -> Place {
    node.add_user(name);
    node.ctl(&[&["set_permissions", name], &rights[..]].concat());
    let mut place = node.place();
    place.url = place.url.replace("guest:guest", &format!("{name}:{name}"));
    place
}

#[tokio::test]
async fn where_nothing_stands_the_rights_to_declare_it_are_found_out_without_declaring() {
    let (node, pbx) = (Node::start(), pbx().await);
    let but = |missing: &str| -> &'static str {
        match missing {
            "jobs" => r"^clockout\.(results|dead)$",
            "results" => r"^clockout\.(jobs|dead)$",
            _ => r"^clockout\.(jobs|results)$",
        }
    };
    for (name, rights, words) in [
        (
            "configure",
            ["^$", ALL, ALL],
            "declare exchange `clockout.jobs`",
        ),
        (
            "queue",
            [but("results"), ALL, ALL],
            "declare queue `clockout.results`",
        ),
        (
            "dead-letter",
            [ALL, but("dead"), ALL],
            "declare queue `clockout.jobs`",
        ),
        (
            "bind",
            [ALL, but("jobs"), ALL],
            "make the binding of queue `clockout.jobs`",
        ),
        (
            "publish",
            [ALL, but("results"), ALL],
            "publish to exchange `clockout.results`",
        ),
        (
            "consume",
            [ALL, ALL, but("jobs")],
            "consume queue `clockout.jobs`",
        ),
    ] {
        let place = user(&node, name, rights);
        let checked = check(&WorkerSetup::new(&place, &pbx.url())).await;
        assert_eq!(checked.code, Some(1), "{name}: {}", checked.shown);
        checked.says(&["✗ no right to", words, "rabbitmqctl set_permissions"]);
    }
    let place = user(&node, "able", [ALL, ALL, ALL]);
    check(&WorkerSetup::new(&place, &pbx.url())).await.is_good();
    assert_eq!(standing(&node.place()).await, Vec::<String>::new());
    assert_eq!(node.ctl(&["list_bindings", "--silent"]).trim(), "");
}

#[tokio::test]
async fn a_user_that_only_checks_needs_what_stands_and_few_rights() {
    let (node, pbx) = (Node::start(), pbx().await);
    let place = user(&node, "checks", CHECKS);
    let setup = WorkerSetup::new(&place, &pbx.url()).set("topology.declare", "false");
    let checked = check(&setup).await;
    assert_eq!(checked.code, Some(1));
    for thing in ["exchange", "queue"] {
        checked.says(&["✗", thing, "`clockout.jobs` is not there", "create it"]);
    }

    drop(WorkerSetup::new(&node.place(), &pbx.url()).start().await);
    let before = node.ctl(&["list_bindings", "--silent"]);
    check(&setup).await.is_good();
    let checked = check(&setup.clone().set("topology.declare", "true")).await;
    checked.says(&["✗ no right to use exchange `clockout.jobs`"]);
    for (name, rights, words) in [
        (
            "mute",
            ["^$", "^$", CHECKS[2]],
            "publish to exchange `clockout.dead`",
        ),
        (
            "deaf",
            ["^$", CHECKS[1], "^$"],
            "consume queue `clockout.jobs`",
        ),
    ] {
        let place = user(&node, name, rights);
        let checked = check(&setup.clone().set("amqp.url", &place.url)).await;
        assert_eq!(checked.code, Some(1), "{name}: {}", checked.shown);
        checked.says(&["✗ no right to", words]);
    }
    assert_eq!(node.ctl(&["list_bindings", "--silent"]), before);
}
