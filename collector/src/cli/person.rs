//! `firmsight person`: who may sign in to the dashboard.

use super::{CliError, arguments::Person, print, with_engine};
use crate::{
    config::Config,
    control::NewPerson,
    person::role_of_person,
    serve::command::{Answer, Command, ListedPerson},
    site::SiteId,
};

pub(super) async fn run(config: &Config, typed: Person) -> Result<(), CliError> {
    match typed {
        Person::Add { email, name, role, sites } => {
            let sites = (!sites.is_empty()).then_some(sites);
            link(config, Command::InvitePerson(NewPerson { email, name, role, sites })).await
        }
        Person::List(list) => {
            let Answer::People(people) = with_engine(config, Command::ListPeople).await? else {
                return Err(CliError::Answer);
            };
            let line = |person: &ListedPerson| if list.json { json(person) } else { text(person) };
            print(&people.iter().map(|person| line(person) + "\n").collect::<String>())
        }
        Person::Reset { email } => link(config, Command::ResetPerson(email)).await,
        Person::Remove { email } => {
            with_engine(config, Command::RemovePerson(email.clone())).await?;
            print(&format!("{email} is removed\n"))
        }
    }
}

/// Prints the link alone, so that a script can send it.
async fn link(config: &Config, command: Command) -> Result<(), CliError> {
    let Answer::Token(token) = with_engine(config, command).await? else { return Err(CliError::Answer) };
    print(&format!("{}/join/{token}\n", config.admin.base_url.as_str().trim_end_matches('/')))
}

fn json(person: &ListedPerson) -> String {
    let ListedPerson { email, name, role, sites, can_sign_in, created_at } = person;
    serde_json::json!({
        "email": email, "name": name, "role": role_of_person(*role), "sites": sites, "can_sign_in": can_sign_in,
        "created_at": jiff::Timestamp::from_millisecond(created_at.0).unwrap_or_default().to_string(),
    })
    .to_string()
}

fn text(person: &ListedPerson) -> String {
    let sites = person
        .sites
        .as_ref()
        .map_or_else(|| "all sites".to_owned(), |sites| sites.iter().map(SiteId::as_str).collect::<Vec<_>>().join(" "));
    let state = if person.can_sign_in { "signs in" } else { "invited" };
    format!("{}\t{}\t{}\t{sites}\t{state}", person.email, person.name, role_of_person(person.role))
}
