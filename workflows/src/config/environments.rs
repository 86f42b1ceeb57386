//! The environments in the order a release takes.

use super::{Config, ConfigError, Data, Environment, Machine};

/// One environment, its name, and its place in the order. Only [`Config::order`] makes one: no name that nobody
/// configured can stand for production.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its name, which its steps' keys begin with.
    pub name: &'a str,
    /// What `flow.toml` says of it.
    pub env: &'a Environment,
    /// What its rows are. Production's are its own.
    pub data: Data,
    /// Whether it is production.
    pub is_production: bool,
    /// Whether its application is asked for its health: a further host need not answer requests.
    pub has_health: bool,
}

impl<'a> Place<'a> {
    /// Its further hosts, wave by wave, each as a place of its own: `prod/worker`. The database is not theirs.
    pub fn waves(&self) -> Vec<Vec<Place<'a>>> {
        let place = |machine: &'a Machine| Place {
            name: &machine.name,
            env: &machine.env,
            has_health: machine.has_health,
            ..*self
        };
        let waves = self.env.waves();
        waves.map(|wave| wave.iter().map(place).collect()).collect()
    }

    /// The same, one after another.
    pub fn hosts(&self) -> Vec<Place<'a>> {
        self.waves().into_iter().flatten().collect()
    }

    /// The host of its database as a place: itself, where the database has none of its own.
    #[must_use]
    pub fn database_host(&self) -> Place<'a> {
        let (name, env) = self.env.database_host(self.name);
        Place {
            name,
            env,
            has_health: self.has_health && self.env.apart.is_none(),
            ..*self
        }
    }

    /// The key of a step there: `prod/deploy`.
    pub fn key(&self, step: &str) -> String {
        format!("{}/{step}", self.name)
    }
}

/// The environments in the order of `path`.
#[derive(Debug, Clone)]
pub struct Environments<'a> {
    /// Those before production, at least one.
    pub before: Vec<Place<'a>>,
    /// The last: what a release changes when everything before has passed.
    pub production: Place<'a>,
    /// Where production is tried out: the last before it that holds a copy of its data, or the last before it.
    pub proving: Place<'a>,
}

/// The longest name of an environment, in characters.
const NAME_MAX: usize = 20;
/// Names that begin keys of steps and phases which belong to no environment.
const TAKEN: [&str; 9] = [
    "deploy", "finish", "gate", "here", "prepare", "rules", "schema", "signoff", "verify",
];

/// What is wrong with a path of one.
const NOTHING_BEFORE: &str =
    "`path` must name an environment before production: nothing would be tested first";

/// The protocol's own order.
pub(super) fn protocol_path() -> Vec<String> {
    ["test", "stage", "prod"].map(str::to_owned).into()
}

impl Config {
    /// The environments with their names, in the order of `path`.
    pub fn environments(&self) -> Vec<(&str, &Environment)> {
        let named = |name: &String| {
            let (name, env) = self.env.get_key_value(name)?;
            Some((name.as_str(), env))
        };
        self.path.iter().filter_map(named).collect()
    }

    /// Every host by its name: an environment's own goes by the environment's, a further one by both: `prod/worker`, a
    /// database's own as `prod/database`.
    pub fn machines(&self) -> Vec<(&str, &Environment)> {
        let all = self.environments().into_iter();
        all.flat_map(|(name, env)| {
            let further = env.apart.as_deref().into_iter().chain(&env.machines);
            let further = further.map(|machine| (machine.name.as_str(), &machine.env));
            [(name, env)].into_iter().chain(further)
        })
        .collect()
    }

    /// The environments by what they are for.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`]: `path` and the environments do not belong together.
    pub fn order(&self) -> Result<Environments<'_>, ConfigError> {
        self.in_order().map_err(|why| self.invalid(why))
    }

    /// As [`Config::order`], saying what is wrong.
    pub(super) fn in_order(&self) -> Result<Environments<'_>, String> {
        self.names()?;
        let mut places: Vec<Place<'_>> = self
            .environments()
            .into_iter()
            .map(|(name, env)| Place {
                name,
                env,
                data: env.data.unwrap_or(Data::Own),
                is_production: false,
                has_health: true,
            })
            .collect();
        let production = places.pop().map(|production| Place {
            is_production: true,
            ..production
        });
        let last = places.last_mut().map(|last| {
            last.data = last.env.data.unwrap_or(Data::Copy);
            *last
        });
        let (Some(production), Some(last)) = (production, last) else {
            return Err(NOTHING_BEFORE.into());
        };
        if production.env.data.is_some() {
            return Err(format!(
                "`env.{}.data`: it is production, the last of `path`, whose data is its own; take the key out",
                production.name
            ));
        }
        apart(&places, &production)?;
        let copy = places.iter().rev().find(|place| place.data == Data::Copy);
        let proving = copy.copied().unwrap_or(last);
        Ok(Environments {
            before: places,
            production,
            proving,
        })
    }

    /// Whether `path` and `[env.…]` name the same environments, each once, by usable names.
    fn names(&self) -> Result<(), String> {
        for (n, name) in self.path.iter().enumerate() {
            if self.path.iter().take(n).any(|earlier| earlier == name) {
                return Err(format!("`path` names `{name}` twice"));
            }
            if !self.env.contains_key(name) {
                let known: Vec<&str> = self.env.keys().map(String::as_str).collect();
                return Err(format!(
                    "`path` names `{}`, but there is no [env.{0}]; there are: {}",
                    name.escape_debug(),
                    known.join(", ")
                ));
            }
            name_problem(name).map_or(Ok(()), Err)?;
        }
        let unused = self.env.keys().find(|name| !self.path.contains(name));
        match unused {
            None => Ok(()),
            Some(name) => Err(format!(
                "[env.{}] is in no `path`: write path = [{}] with it in its place, or take it out",
                name.escape_debug(),
                self.path
                    .iter()
                    .map(|name| format!("\"{name}\""))
                    .collect::<Vec<_>>()
                    .join(", ")
            )),
        }
    }
}

/// What is wrong with an order of environments that nothing is known of yet but their names.
pub(crate) fn path_problem(path: &[String]) -> Option<String> {
    let twice = |(n, name): (usize, &String)| {
        let earlier = path.iter().take(n).any(|earlier| earlier == name);
        earlier.then(|| format!("`{}` is named twice", name.escape_debug()))
    };
    let names = path.iter().enumerate();
    let mut wrong = names.filter_map(|(n, name)| name_problem(name).or_else(|| twice((n, name))));
    wrong
        .next()
        .or_else(|| (path.len() < 2).then(|| NOTHING_BEFORE.to_owned()))
}

/// Why no environment can have this name.
fn name_problem(name: &str) -> Option<String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts || !name.chars().all(legal) || name.len() > NAME_MAX {
        return Some(format!(
            "`{}` is no name of an environment: a letter first, then a-z, 0-9 and `-`, {NAME_MAX} at the most",
            name.escape_debug()
        ));
    }
    TAKEN.contains(&name).then(|| {
        format!(
            "an environment must not be called `{name}`: steps that belong to none are; others: {}",
            TAKEN.join(", ")
        )
    })
}

/// Refuses a host that is named twice. Environments before production may share one as a whole, as they always could: what
/// is refused then is said when the machines are asked who they are.
fn apart(before: &[Place<'_>], production: &Place<'_>) -> Result<(), String> {
    let alias = &production.env.ssh;
    if let Some(same) = before.iter().find(|place| place.env.ssh == *alias) {
        return Err(format!(
            "`env.{}.ssh` must be another host than that of `{}`: a release would begin on production",
            production.name, same.name
        ));
    }
    let mut known: Vec<(&str, &str)> = Vec::new();
    let all = before.iter().chain([production]);
    let databases = all.clone().filter(|place| place.env.apart.is_some());
    let databases = databases.map(Place::database_host);
    let further = databases.chain(all.clone().flat_map(Place::hosts));
    for (place, is_own) in all
        .map(|place| (*place, true))
        .chain(further.map(|host| (host, false)))
    {
        let alias = place.env.ssh.as_str();
        if let Some((_, other)) = known.iter().find(|(known, _)| *known == alias && !is_own) {
            return Err(format!(
                "the host `{}` is named twice: for `{other}` and for `{}`; a host is in one environment, once",
                alias.escape_debug(),
                place.name
            ));
        }
        known.push((alias, place.name));
    }
    Ok(())
}
