//! Lines that let only part of what is sent pass, or nothing, or late: nodes find a way, and come into step.

use std::fs;

use mytism_testkit::{PATIENCE, Project, Proxy, RunningNode, Weather, wait_until, wait_until_in_step};
use serde_json::Value as Json;

use crate::trade::{assert_equal, branch, head_office, order, order_numbers};

/// Lets a branch that is down reach its head office over this line alone.
fn behind(proxy: &Proxy, project: &Project) {
    let text = fs::read_to_string(project.config_file()).unwrap();
    let lines = text.lines().map(|line| match line.starts_with("headOffice ") || line.starts_with("headOffice=") {
        true => format!("headOffice = 127.0.0.1:{}\n", proxy.port()),
        false => format!("{line}\n"),
    });
    fs::write(project.config_file(), lines.collect::<String>()).unwrap();
}

/// A branch whose line is a bad one.
fn branch_behind(head: &RunningNode, name: &str, seed: u64) -> (RunningNode, Proxy) {
    let proxy = Proxy::to(head.project().setting("tlsPort").parse().unwrap(), seed);
    let mut branch = branch(head, name);
    branch.stop();
    behind(&proxy, branch.project());
    (branch, proxy)
}

fn line(project: &Project) -> Json {
    project.status()["sync"][0].clone()
}

#[test]
fn where_udp_does_not_pass_the_line_goes_over_tcp() {
    let head = head_office();
    let (mut branch, proxy) = branch_behind(&head, "berlin", 1);
    proxy.set(Weather { udp: false, ..Weather::default() });
    branch.restart();
    for number in 100..110 {
        head.project().save(&order(number));
        branch.project().save(&order(1000 + number));
    }
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_eq!(line(head.project())["transport"], "tls");
    assert_eq!(line(branch.project())["transport"], "tls");
    assert_eq!(order_numbers(head.project()), (100..110).chain(1100..1110).collect::<Vec<_>>());
    let told = branch.project().run(&["status"], "").success().stdout;
    assert!(told.contains("over TCP"), "{told}");

    // The line ends, and UDP passes when it comes up again.
    proxy.set(Weather { tcp: false, ..Weather::default() });
    wait_until("the line runs over UDP", 2 * PATIENCE, || {
        let line = line(branch.project());
        line["state"] == "connected" && line["transport"] == "quic"
    });
    head.project().save(&order(200));
    wait_until_in_step(head.project(), &[branch.project()]);
    assert_equal(head.project(), branch.project());
}
