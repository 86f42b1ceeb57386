//! What `pm2 jlist` says, sorted by whose it is.

use std::collections::BTreeSet;

use flow_engine::step::StepError;

use super::Pm2;
use super::definition::Definition;
use super::read::parse;
use crate::means::reach;
use crate::means::supervisor::application::Place;
use crate::means::supervisor::contract::Population;
use crate::means::supervisor::list::{App, ProcessList};

/// Everything pm2 keeps on a host, sorted by whose it is. Holds secrets: never stored, never shown.
pub(crate) struct Inventory {
    /// The application's processes.
    pub(crate) own: ProcessList,
    /// Their definitions, in the same order.
    pub(crate) definitions: Vec<Definition>,
    /// In words, what is not the application's.
    pub(crate) others: Vec<String>,
    /// Those of it that are no modules of pm2.
    pub(crate) foreign: Vec<App>,
    /// Every name of a process that pm2 knows, whoever's it is.
    pub(crate) names: BTreeSet<String>,
    /// Every namespace that pm2 knows, whoever's it is.
    pub(crate) namespaces: BTreeSet<String>,
}

impl From<Inventory> for Population {
    fn from(found: Inventory) -> Self {
        Population {
            own: found.own,
            others: found.others,
        }
    }
}

impl Pm2<'_> {
    /// Everything pm2 keeps, sorted by whose it is. Starts pm2's daemon when it does not run, as every pm2 command does.
    pub(crate) async fn inventory(&self) -> Result<Inventory, StepError> {
        let text = reach::run(self.host, &self.command(&["jlist"])?).await?;
        let all = parse(&text)?;
        let places: Vec<Place> = all.iter().map(|(_, place, _)| place.clone()).collect();
        let own = self.application.own(self.host, &places).await?;
        let mut found = Inventory {
            own: ProcessList::default(),
            definitions: Vec::new(),
            others: Vec::new(),
            foreign: Vec::new(),
            names: places.iter().map(|p| p.name.clone()).collect(),
            namespaces: BTreeSet::new(),
        };
        for ((app, place, definition), own) in all.into_iter().zip(own) {
            found.namespaces.extend(app.namespace.clone());
            if own {
                found.own.apps.push(app);
                found.definitions.push(definition);
            } else {
                let whose = if place.module {
                    "a module of pm2"
                } else {
                    "not the application's"
                };
                found
                    .others
                    .push(format!("{} #{} ({whose})", app.name, app.id));
                if !place.module {
                    found.foreign.push(app);
                }
            }
        }
        Ok(found)
    }
}
