//! Who may answer for which role, and whom to call: `flow.people.toml`.
//!
//! ```toml
//! forbid_starter = true
//! [[roles.qa]]
//! name = "…"
//! email = "qa@example.org"
//! key = "ssh-ed25519 AAAA…"
//! [[contacts]]
//! name = "…"
//! role = "database"
//! phone = "…"
//! ```

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::means::plain::{is_one_script, is_plain};
use crate::means::signature::key::{KeyError, PublicKey};

/// The namespace of every signature `flow` asks for: a signature made for another purpose is none of ours.
pub const NAMESPACE: &str = "flow-signoff-v1";
const NAME_MAX: usize = 80;
const EMAIL_MAX: usize = 254;
const ROLE_MAX: usize = 32;

/// The roster. Reading one checks it; see [`People::checked`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
#[non_exhaustive]
pub struct People {
    /// Who may sign as what.
    pub roles: BTreeMap<String, Vec<Person>>,
    /// Whom to call when a release goes wrong, in this order.
    pub contacts: Vec<Contact>,
    /// Whether the person who started a run is barred from signing it off, reviewing and waiving. The start is signed
    /// then, by a key of any role; see [`crate::means::signature::starter`].
    pub forbid_starter: bool,
}

/// Somebody who may sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// For people to read.
    pub name: String,
    /// Where mail reaches them; part of the name their signature is checked under.
    #[serde(default)]
    pub email: Option<String>,
    /// The line of their `.pub` file.
    pub key: String,
    /// The name they log in with, where it is neither the name nor the address: how `flow` finds their key, and one more
    /// name by which a starter is known.
    #[serde(default)]
    pub login: Option<String>,
}

/// Somebody to call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// The name of the one to call.
    pub name: String,
    /// What they are called for, such as `database`.
    #[serde(default)]
    pub role: String,
    /// How, by voice.
    #[serde(default)]
    pub phone: Option<String>,
    /// How, in writing.
    #[serde(default)]
    pub email: Option<String>,
}

impl std::fmt::Display for Contact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let role = (!self.role.is_empty()).then_some(&self.role);
        let ways = [role, self.phone.as_ref(), self.email.as_ref()];
        f.write_str(&self.name)?;
        ways.into_iter()
            .flatten()
            .try_for_each(|way| write!(f, ", {way}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    #[serde(default)]
    roles: BTreeMap<String, Vec<Person>>,
    #[serde(default)]
    contacts: Vec<Contact>,
    #[serde(default)]
    forbid_starter: bool,
}

impl TryFrom<Unchecked> for People {
    type Error = RosterError;

    fn try_from(raw: Unchecked) -> Result<People, RosterError> {
        People::checked(raw.roles, raw.contacts, raw.forbid_starter)
    }
}

/// What is wrong with a roster. Nothing was changed; correct `flow.people.toml`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RosterError {
    /// A role's name.
    #[error("`{0}` is no role: use at most {ROLE_MAX} of a-z, 0-9 and `-`")]
    Role(String),
    /// A name, login or telephone number.
    #[error("{whose}: use 1 to {NAME_MAX} printable characters")]
    Text {
        /// The field and its value.
        whose: String,
    },
    /// A name that could be taken for another.
    #[error("{whose}: use the letters of one script; those of another may look the same")]
    Scripts {
        /// The field and its value.
        whose: String,
    },
    /// A mail address.
    #[error("`{0}` is no plain mail address")]
    Email(String),
    /// A key that cannot be read, or may not sign.
    #[error("the key of {name} ({role}): {source}")]
    Key {
        /// The role it stands under.
        role: String,
        /// Whose key it is to be.
        name: String,
        /// What is wrong with the key.
        source: KeyError,
    },
    /// One key for two entries.
    #[error(
        "the key {fingerprint} stands for both {first} and {second}; one key may not hold two roles"
    )]
    SharedKey {
        /// The fingerprint of the key, `SHA256:…`.
        fingerprint: String,
        /// The entry that has it first, as `role:person`.
        first: String,
        /// The entry that has it again, as `role:person`.
        second: String,
    },
    /// Two people who could not be told apart.
    #[error("two people would both be `{0}`; give each a mail address of their own")]
    SamePrincipal(String),
}

impl People {
    /// A roster that passed every check: names and addresses are bounded and printable, keys can be read and are of
    /// an accepted type, and no key stands twice.
    ///
    /// # Errors
    /// [`RosterError`] names the first bad entry.
    pub fn checked(
        roles: BTreeMap<String, Vec<Person>>,
        contacts: Vec<Contact>,
        forbid_starter: bool,
    ) -> Result<People, RosterError> {
        let mut holders: BTreeMap<String, String> = BTreeMap::new();
        let mut principals = std::collections::BTreeSet::new();
        for (role, persons) in &roles {
            check_role(role)?;
            for person in persons {
                let principal = person.principal(role);
                check_person(person)?;
                let key = person.public_key().map_err(|source| RosterError::Key {
                    role: role.clone(),
                    name: person.name.clone(),
                    source,
                })?;
                let fingerprint = key.fingerprint().to_owned();
                if let Some(first) = holders.insert(fingerprint.clone(), principal.clone()) {
                    return Err(RosterError::SharedKey {
                        fingerprint,
                        first,
                        second: principal,
                    });
                }
                if !principals.insert(principal.clone()) {
                    return Err(RosterError::SamePrincipal(principal));
                }
            }
        }
        contacts.iter().try_for_each(check_contact)?;
        Ok(People {
            roles,
            contacts,
            forbid_starter,
        })
    }

    /// Who may sign as `role`.
    pub fn of_role(&self, role: &str) -> &[Person] {
        self.roles.get(role).map_or(&[], Vec::as_slice)
    }

    /// This roster without the keys that the other one does not have in the same role: what was taken out since.
    #[must_use]
    pub fn still_in(&self, now: &People) -> People {
        let mut people = self.clone();
        for (role, persons) in &mut people.roles {
            persons.retain(|person| {
                let key = person.public_key();
                key.is_ok_and(|key| {
                    now.holder(key.fingerprint())
                        .is_some_and(|(r, _)| r == role)
                })
            });
        }
        people.forbid_starter |= now.forbid_starter;
        people
    }

    /// Whose key this is: the role and the person.
    pub fn holder(&self, fingerprint: &str) -> Option<(&str, &Person)> {
        let all = self
            .roles
            .iter()
            .flat_map(|(role, persons)| persons.iter().map(move |p| (role.as_str(), p)));
        all.into_iter()
            .find(|(_, p)| p.public_key().is_ok_and(|k| k.fingerprint() == fingerprint))
    }

    /// The file `ssh-keygen -Y verify -f` wants, for verification here and in an exported audit.
    pub fn allowed_signers(&self) -> String {
        let mut text = String::new();
        for (role, persons) in &self.roles {
            for person in persons {
                if let Ok(key) = person.public_key() {
                    let principal = person.principal(role);
                    let line = key.line();
                    let _ = writeln!(text, "{principal} namespaces=\"{NAMESPACE}\" {line}");
                }
            }
        }
        text
    }
}

impl Person {
    /// The key, read.
    ///
    /// # Errors
    /// [`KeyError`]; never for a person of a checked roster.
    pub fn public_key(&self) -> Result<PublicKey, KeyError> {
        PublicKey::parse(&self.key)
    }

    /// The name signatures are checked under: the role, and the address or else the name in plain letters.
    ///
    /// `ssh-keygen` reads principals as patterns, so nothing that is one may stand in it.
    pub fn principal(&self, role: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let who = match &self.email {
            Some(email) => email.clone(),
            None => self.name.to_lowercase().chars().map(plain).collect(),
        };
        format!("{role}:{who}")
    }

    /// Whether a login name is this person's.
    pub fn is(&self, login: &str) -> bool {
        let email = self.email.as_deref();
        let local = email.and_then(|e| e.split('@').next());
        [
            Some(self.name.as_str()),
            email,
            local,
            self.login.as_deref(),
        ]
        .into_iter()
        .flatten()
        .any(|own| own.to_lowercase() == login.to_lowercase())
    }
}

impl Person {
    /// Whether another entry is of the same person: it shares a name, an address or a login. Somebody who stands in
    /// the roster twice, with a key each, is one starter.
    pub fn is_also(&self, other: &Person) -> bool {
        let shares = |a: &Person, b: &Person| {
            let names = [Some(&b.name), b.email.as_ref(), b.login.as_ref()];
            names.into_iter().flatten().any(|name| a.is(name))
        };
        shares(self, other) || shares(other, self)
    }
}

fn check_role(role: &str) -> Result<(), RosterError> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let fits = (1..=ROLE_MAX).contains(&role.len()) && role.chars().all(legal);
    fits.then_some(())
        .ok_or_else(|| RosterError::Role(role.chars().take(60).collect()))
}

fn check_person(person: &Person) -> Result<(), RosterError> {
    check_name("the name of a person", &person.name)?;
    if let Some(login) = &person.login {
        check_text("a login", login)?;
    }
    person.email.as_deref().map_or(Ok(()), check_email)
}

fn check_contact(contact: &Contact) -> Result<(), RosterError> {
    check_name("the name of a contact", &contact.name)?;
    if !contact.role.is_empty() {
        check_text("the role of a contact", &contact.role)?;
    }
    if let Some(phone) = &contact.phone {
        check_text("a telephone number", phone)?;
    }
    contact.email.as_deref().map_or(Ok(()), check_email)
}

fn check_name(field: &str, name: &str) -> Result<(), RosterError> {
    check_text(field, name)?;
    if is_one_script(name) {
        return Ok(());
    }
    let whose = format!("{field}, `{name}`");
    Err(RosterError::Scripts { whose })
}

fn check_text(field: &str, text: &str) -> Result<(), RosterError> {
    let fits = (1..=NAME_MAX).contains(&text.chars().count()) && text.trim() == text;
    if fits && text.chars().all(is_plain) {
        return Ok(());
    }
    let shown: String = text.chars().filter(|c| is_plain(*c)).take(60).collect();
    Err(RosterError::Text {
        whose: format!("{field}, `{shown}`"),
    })
}

fn check_email(email: &str) -> Result<(), RosterError> {
    let refused = || RosterError::Email(email.chars().filter(|c| is_plain(*c)).take(60).collect());
    let legal = |c: char| c.is_ascii_alphanumeric() || ".+-_@%".contains(c);
    let (local, domain) = email.split_once('@').ok_or_else(refused)?;
    let fits = email.len() <= EMAIL_MAX && !local.is_empty() && !domain.is_empty();
    let plain = email.chars().all(legal) && !domain.contains('@') && !email.starts_with('-');
    (fits && plain).then_some(()).ok_or_else(refused)
}

#[cfg(test)]
mod tests;
