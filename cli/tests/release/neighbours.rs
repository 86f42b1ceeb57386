//! Hosts as they are: with a pm2 module, another application, a process that rests, a login shell that prints, an index
//! that is not valid, a mailbox that is full, and a database user that is no superuser.

use crate::project::Wishes;
use crate::world::World;

fn crowded() -> World {
    World::with(&Wishes {
        to: vec!["defer@example.org".into(), "team@example.org".into()],
        neighbours: true,
        ..Wishes::default()
    })
}

#[test]
fn one_that_is_not_healthy_is_taken_back_around_neighbours_and_a_good_release_completes_among_them()
{
    let mut world = crowded();
    let before = world.neighbours("prod");
    let mut driver = world.start("release", "health");
    assert_eq!(
        world.finish(&mut driver),
        5,
        "the one that is not healthy is taken back"
    );
    assert_eq!(world.neighbours("prod"), before);
    world.assert_online();
    let unlock = ["unlock", "prod", "--reason", "looked into"];
    world.flow(&unlock).expect(0);
    let mut driver = world.start("release", "good");
    assert_eq!(world.finish(&mut driver), 0, "the good release");
    assert_eq!(world.neighbours("prod"), before);
    world.assert_online();
    let mails = world.sandbox.mails().expect("mails");
    let completed = mails.iter().filter(|m| m.subject.contains("completed"));
    assert_eq!(
        completed.count(),
        1,
        "the mailbox that is full keeps it from nobody"
    );
}
