//! The declaration's texts. They describe what the tracker does; whether they satisfy a law is for the site's owner to judge.

use super::{Language, Storage};

/// One language.
pub(super) struct Texts {
    pub(super) heading: &'static str,
    pub(super) summary: &'static str,
    pub(super) cookieless: &'static str,
    /// Name, kind, purpose, when, how long, who.
    pub(super) columns: [&'static str; 6],
    cookie: &'static str,
    local_storage: &'static str,
    pub(super) client_id: &'static str,
    pub(super) expiry: &'static str,
    pub(super) queue: &'static str,
    pub(super) probe: &'static str,
    pub(super) choice: &'static str,
    pub(super) after_consent: &'static str,
    pub(super) without_consent: &'static str,
    pub(super) with_choice: &'static str,
    pub(super) readers: &'static str,
    pub(super) opt_out: &'static str,
    /// `{}` is the number of days.
    days: &'static str,
    one_day: &'static str,
    moment: &'static str,
}

impl Texts {
    pub(super) const fn of(language: Language) -> &'static Self {
        match language {
            Language::English => &ENGLISH,
            Language::German => &GERMAN,
            Language::French => &FRENCH,
        }
    }

    pub(super) const fn storage(&self, storage: Storage) -> &'static str {
        match storage {
            Storage::Cookie => self.cookie,
            Storage::LocalStorage => self.local_storage,
        }
    }

    pub(super) fn life(&self, days: u64) -> String {
        match days {
            0 => self.moment.to_owned(),
            1 => self.one_day.to_owned(),
            days => self.days.replace("{}", &days.to_string()),
        }
    }
}

const ENGLISH: Texts = Texts {
    heading: "Statistics about visiting companies",
    summary: "This website records which companies visit it, with the software Firmsight on a server of its operator. \
              The company is found by the network that a visit comes from; IP addresses are not kept.",
    cookieless: "Until you choose, pages are counted without anything being stored in your browser.",
    columns: ["Name", "Kind", "Purpose", "Stored", "Kept for", "Read by"],
    cookie: "Cookie",
    local_storage: "Local storage",
    client_id: "A random number by which this browser is recognised on its next visit, so that several visits count as \
                one visitor.",
    expiry: "The day on which the number in _lfa ends.",
    queue: "What could not be sent yet, such as pages seen without a network; removed once it was sent.",
    probe: "A trial that shows for which domain this browser takes cookies.",
    choice: "Your choice: whether you agreed or refused.",
    after_consent: "after you agreed",
    without_consent: "with the first visit, unless you objected",
    with_choice: "when you chose",
    readers: "this website and the server of its operator, nobody else",
    opt_out: "See what is stored, object, erase",
    days: "{} days after the last visit at most",
    one_day: "1 day after the last visit at most",
    moment: "removed at once",
};

const GERMAN: Texts = Texts {
    heading: "Statistik über besuchende Unternehmen",
    summary: "Diese Website erfasst mit der Software Firmsight auf einem Server ihres Betreibers, welche Unternehmen \
              sie besuchen. Das Unternehmen wird am Netz erkannt, aus dem ein Besuch kommt; IP-Adressen werden nicht \
              aufbewahrt.",
    cookieless: "Bis zu Ihrer Wahl werden Seitenaufrufe gezählt, ohne dass in Ihrem Browser etwas gespeichert wird.",
    columns: ["Name", "Art", "Zweck", "Gespeichert", "Aufbewahrt", "Gelesen von"],
    cookie: "Cookie",
    local_storage: "Lokaler Speicher",
    client_id: "Eine Zufallszahl, an der dieser Browser beim nächsten Besuch wiedererkannt wird, damit mehrere Besuche \
                als ein Besucher zählen.",
    expiry: "Der Tag, an dem die Zahl in _lfa endet.",
    queue: "Was noch nicht gesendet werden konnte, etwa ohne Netz besuchte Seiten; nach dem Senden entfernt.",
    probe: "Ein Versuch, der zeigt, für welche Domain dieser Browser Cookies annimmt.",
    choice: "Ihre Wahl: ob Sie zugestimmt oder abgelehnt haben.",
    after_consent: "nach Ihrer Zustimmung",
    without_consent: "mit dem ersten Besuch, außer Sie haben widersprochen",
    with_choice: "wenn Sie gewählt haben",
    readers: "dieser Website und dem Server ihres Betreibers, sonst niemandem",
    opt_out: "Ansehen, was gespeichert ist, widersprechen, löschen",
    days: "höchstens {} Tage nach dem letzten Besuch",
    one_day: "höchstens 1 Tag nach dem letzten Besuch",
    moment: "sofort entfernt",
};

const FRENCH: Texts = Texts {
    heading: "Statistiques sur les entreprises visiteuses",
    summary: "Ce site relève quelles entreprises le visitent, avec le logiciel Firmsight sur un serveur de son \
              exploitant. L’entreprise est reconnue au réseau d’où vient la visite ; les adresses IP ne sont pas \
              conservées.",
    cookieless: "Jusqu’à votre choix, les pages sont comptées sans que rien ne soit enregistré dans votre navigateur.",
    columns: ["Nom", "Type", "Finalité", "Enregistrement", "Conservation", "Lecture par"],
    cookie: "Cookie",
    local_storage: "Stockage local",
    client_id: "Un nombre aléatoire auquel ce navigateur est reconnu à la visite suivante, afin que plusieurs visites \
                comptent pour un seul visiteur.",
    expiry: "Le jour où prend fin le nombre contenu dans _lfa.",
    queue: "Ce qui n’a pas encore pu être envoyé, comme des pages vues hors ligne ; supprimé une fois envoyé.",
    probe: "Un essai qui montre pour quel domaine ce navigateur accepte les cookies.",
    choice: "Votre choix : si vous avez accepté ou refusé.",
    after_consent: "après votre accord",
    without_consent: "dès la première visite, sauf si vous vous êtes opposé",
    with_choice: "lorsque vous avez choisi",
    readers: "ce site et le serveur de son exploitant, personne d’autre",
    opt_out: "Voir ce qui est enregistré, s’opposer, effacer",
    days: "{} jours au plus après la dernière visite",
    one_day: "1 jour au plus après la dernière visite",
    moment: "supprimé aussitôt",
};
