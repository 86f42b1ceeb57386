//! Machines and files that are not what they should be: one clear message, and nothing was changed.

use std::path::Path;

use crate::driver::{Driver, Said};
use crate::world::World;

#[test]
fn what_is_wrong_with_machines_and_files_is_said_clearly_and_nothing_is_changed() {
    let mut world = World::new();
    let before = world.dump();
    a_host_that_cannot_be_reached(&mut world);
    a_host_with_another_key(&mut world);
    a_host_without_a_tool(&mut world);
    one_key_in_two_roles(&world);
    for host in flow_sandbox::HOSTS {
        assert!(world.sandbox.ledger(host).expect("a ledger").is_empty());
    }
    crate::world::assert_same(&world.dump(), &before);
    assert!(!world.project.join(".flow").exists());
}

/// A project that differs in one thing, with a state folder of its own.
struct Odd {
    config: String,
    state: String,
}

impl Odd {
    fn new(world: &World, name: &str, change: impl Fn(&str) -> String) -> Odd {
        let read = |path: &Path| std::fs::read_to_string(path).expect("reads");
        let usual = read(&world.project.join("flow.toml"));
        let odd = change(&usual);
        assert_ne!(odd, usual, "nothing was changed");
        let config = world.project.join(format!("flow-{name}.toml"));
        std::fs::write(&config, odd).expect("writes");
        Odd {
            config: config.display().to_string(),
            state: world.path(&format!("state-{name}")).display().to_string(),
        }
    }

    /// With another ssh configuration.
    fn ssh(world: &World, name: &str, change: impl Fn(&str) -> String) -> Odd {
        let usual = world.sandbox.ssh_config();
        let text = std::fs::read_to_string(usual).expect("reads");
        let odd = change(&text);
        assert_ne!(odd, text, "nothing was changed");
        let file = world.path(&format!("ssh-{name}"));
        std::fs::write(&file, odd).expect("writes");
        let (usual, file) = (usual.display().to_string(), file.display().to_string());
        Odd::new(world, name, |config| config.replace(&usual, &file))
    }

    fn args<'a>(&'a self, args: &[&'a str]) -> Vec<&'a str> {
        let mut all = vec!["--config", &self.config, "--state", &self.state];
        all.extend(args);
        all
    }

    /// Looks at everything; finds something.
    fn doctor(&self, world: &World, env: &str) -> Said {
        world.flow(&self.args(&["doctor", env])).expect(1)
    }

    /// Releases `good`; the exit code, and what was said.
    fn release(&self, world: &mut World) -> (i32, String) {
        let commit = world.sandbox.commit("good").expect("a commit").to_owned();
        let args = self.args(&["start", "--commit", &commit, "--reason", "a test"]);
        let mut driver: Driver = world.drive(&args);
        let code = world.finish(&mut driver);
        (code, driver.said())
    }
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

fn a_host_that_cannot_be_reached(world: &mut World) {
    let port = world.sandbox.host("test").expect("test").port;
    let odd = Odd::ssh(world, "port", |config| {
        config.replace(&format!("Port {port}\n"), "Port 1\n")
    });
    let said = odd.doctor(world, "test");
    assert_says(&said.out, &["host `test` cannot be reached", "127.0.0.1:1"]);
    let (code, said) = odd.release(world);
    // Nobody knows what is there: that is no failed check.
    assert_eq!(code, 75, "{said}");
    let words = [
        "host `test` cannot be reached",
        "production was not changed",
        "flow resume",
    ];
    assert_says(&said, &words);
}

fn a_host_with_another_key(world: &mut World) {
    let known = world.sandbox.ssh_config().with_file_name("known_hosts");
    let text = std::fs::read_to_string(&known).expect("reads");
    let [stage, prod] = ["stage", "prod"].map(|name| {
        let port = world.sandbox.host(name).expect("a host").port;
        let line = text
            .lines()
            .find(|line| line.contains(&format!("]:{port} ")));
        line.expect("a known host")
            .split_once(' ')
            .expect("a key")
            .1
            .to_owned()
    });
    let odd = Odd::ssh(world, "key", |config| {
        let file = world.path("known-key");
        std::fs::write(&file, text.replace(&prod, &stage)).expect("writes");
        let (usual, file) = (known.display().to_string(), file.display().to_string());
        config.replace(&usual, &file)
    });
    let said = odd.doctor(world, "prod");
    assert_says(&said.out, &["showed a key that is not the one in"]);
    let (code, said) = odd.release(world);
    assert_eq!(code, 75, "{said}");
    let words = [
        "host `prod` showed a key that is not the one in",
        "known-key",
        "not changed",
    ];
    assert_says(&said, &words);
}

fn a_host_without_a_tool(world: &mut World) {
    let odd = Odd::new(world, "tool", |config| {
        let (rest, prod) = config.split_at(config.find("[env.prod]").expect("prod"));
        let line = prod.lines().find(|line| line.starts_with("exec = "));
        let line = line.expect("how the database is reached");
        format!("{rest}{}", prod.replace(line, "exec = [\"nosuch\"]"))
    });
    let said = odd.doctor(world, "prod");
    assert_says(&said.out, &["nosuch"]);
    let (code, said) = odd.release(world);
    assert_eq!(code, 1, "{said}");
    assert_says(&said, &["nosuch", "production was not changed"]);
}

fn one_key_in_two_roles(world: &World) {
    let people = crate::project::people(&world.sandbox);
    let key = |role: &str| {
        let found = world.sandbox.people().iter().find(|p| p.role == role);
        found.expect("a role").public.clone()
    };
    let twice = people.replace(&key("qa"), &key("developer"));
    std::fs::write(world.project.join("flow-twice-people.toml"), twice).expect("writes");
    flow_sandbox::commit_alone(&world.project, "flow-twice-people.toml", "twice").expect("commits");
    let odd = Odd::new(world, "twice", |config| {
        let config = config.replace("roster_ref = \"roster\"", "roster_ref = \"twice\"");
        format!("people = \"flow-twice-people.toml\"\n{config}")
    });
    let said = world.flow(&odd.args(&["start", "--commit", "HEAD", "--yes"]));
    said.expect(2)
        .says(&["one key may not hold two roles", "developer", "qa"]);
    assert!(!Path::new(&odd.state).exists());
}
