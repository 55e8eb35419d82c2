//! All words that the command line says to people, in two columns: English and German. Messages of failures are not
//! here, since they come from the node too and are English everywhere. Knows no command.

/// Makes the structure of all words and its two columns from one table, so that no word can lack in a language.
macro_rules! words {
    ($($name:ident: $english:literal, $german:literal;)+) => {
        /// All words in one language. `{}` stands for what is filled in, `{row|rows}` for one of two forms, see [`fill`].
        #[derive(Debug)]
        pub(crate) struct Words {
            $(pub(crate) $name: &'static str,)+
            /// Between groups of three digits.
            pub(crate) thousands: char,
            /// Before fractions.
            pub(crate) point: char,
        }

        /// The left column.
        pub(crate) static ENGLISH: Words = Words { $($name: $english,)+ thousands: ',', point: '.' };
        /// The right column.
        pub(crate) static GERMAN: Words = Words { $($name: $german,)+ thousands: '.', point: ',' };

        #[cfg(test)]
        const PAIRS: &[(&str, &str)] = &[$(($english, $german),)+];
    };
}

words! {
    // init, join, start, stop
    project: "Project", "Projekt";
    store: "Store", "Speicher";
    schema: "Schema", "Schema";
    next: "Next", "Weiter";
    head_office: "Head office", "Zentrale";
    received: "Received", "Empfangen";
    new_head_office: "new, authoritative node \"{}\"", "neu, Zentrale \"{}\"";
    new_branch: "new, branch \"{}\"", "neu, Filiale \"{}\"";
    entities: "{} {entity|entities}", "{} {Entität|Entitäten}";
    then_status: "then {} status", "danach {} status";
    serves: "{} serves", "{} läuft";
    ports_are: "ports {}", "Ports {}";
    plain: "plain", "unverschlüsselt";
    encrypted: "encrypted", "verschlüsselt";
    web: "web", "Web";
    process: "process {}", "Prozess {}";
    log_goes_to: "log {}", "Protokoll {}";
    stopped: "the node of {} is down", "der Knoten von {} ist beendet";
    // status
    authoritative: "authoritative", "Zentrale";
    branch: "branch", "Filiale";
    up: "up {}", "läuft seit {}";
    not_running: "not running", "läuft nicht";
    version: "version {}", "Version {}";
    position: "position {}", "Position {}";
    status_store: "store", "Speicher";
    objects: "{} {object|objects}", "{} {Objekt|Objekte}";
    status_schema: "schema", "Schema";
    files: "files", "Dateien";
    file_contents: "{} {file|files}, {}", "{} {Datei|Dateien}, {}";
    files_wanted: "{} to come", "{} fehlen noch";
    not_here_yet: "not here yet", "noch nicht hier";
    content_comes: "{}: {} of {} have come, waiting for the rest", "{}: {} von {} sind da, der Rest kommt noch";
    content_written: "{} written to {}, {}", "{} nach {} geschrieben, {}";
    branches: "branches", "Filialen";
    head_office_line: "head office", "Zentrale";
    pending: "pending", "offen";
    pending_saves: "{} {transaction|transactions} on which the head office has not decided", "{} {Transaktion|Transaktionen}, über die die Zentrale noch nicht entschieden hat";
    in_step: "in step", "auf gleichem Stand";
    catching_up: "catching up", "holt auf";
    connecting: "connecting", "verbindet";
    not_connected: "not connected", "nicht verbunden";
    not_seen: "not seen since the start", "seit dem Start nicht gesehen";
    not_seen_for: "not seen for {}", "seit {} nicht gesehen";
    peer_stopped: "rests", "ruht";
    behind: "{} behind", "{} zurück";
    behind_for: "{} behind, about {}", "{} zurück, noch etwa {}";
    log_entries: "log {} {entry|entries}", "Protokoll {} {Eintrag|Einträge}";
    lines_rest: "the lines to other nodes rest   {} sync resume", "die Leitungen zu anderen Knoten ruhen   {} sync resume";
    lines_resumed: "the lines to other nodes are resumed", "die Leitungen zu anderen Knoten sind wieder in Betrieb";
    no_lines: "no lines to other nodes", "keine Leitungen zu anderen Knoten";
    not_running_lines: "the node does not run, so it has no lines", "der Knoten läuft nicht und hat darum keine Leitungen";
    lag_down: "head office to branch {}", "Zentrale zur Filiale {}";
    lag_up: "branch to head office {}", "Filiale zur Zentrale {}";
    lag: "lag", "Verzug";
    sent_line: "sent", "gesendet";
    received_line: "received", "empfangen";
    moved_count: "{} since the start", "{} seit dem Start";
    moved_last: "{} since the start, the last {} at {}", "{} seit dem Start, zuletzt {} am {}";
    seen_line: "seen", "gesehen";
    over_tcp: "over TCP, UDP does not pass", "über TCP, UDP kommt nicht durch";
    over_plain: "over TCP without encryption", "über TCP ohne Verschlüsselung";
    compared_with: "{} {entry or object|entries and objects} compared with {}", "{} {Eintrag oder Objekt|Einträge und Objekte} mit {} verglichen";
    compared_log: "{} {entry of the log or object|entries of the log and objects} read and checked", "{} {Eintrag des Protokolls oder Objekt|Einträge des Protokolls und Objekte} gelesen und geprüft";
    nothing_differs: "nothing differs", "keine Unterschiede";
    differs: "{} {was|were} missing and {} {was|were} different here; {} {is|are} good now", "{} {fehlte|fehlten} und {} {war|waren} hier anders; {} {ist|sind} jetzt gut";
    not_mended: "what is not good now needs a look: logs/mytism.log says more; a good copy of this database is a backup, or another node", "was jetzt nicht gut ist, braucht einen Blick: mehr steht in logs/mytism.log; eine gute Kopie dieser Datenbank ist eine Sicherung oder ein anderer Knoten";
    last_error: "last error: {}", "letzter Fehler: {}";
    needs_you: "needs you", "zu tun";
    conflicts: "{} {conflict|conflicts}", "{} {Konflikt|Konflikte}";
    in_quarantine: "{} in quarantine", "{} in Quarantäne";
    health: "health", "Zustand";
    health_good: "good", "gut";
    health_attention: "attention: {}", "Achtung: {}";
    unmended: "the last comparison with the head office found {} entries and objects that it could not mend", "der letzte Vergleich mit der Zentrale konnte {} falsche Einträge und Objekte nicht berichtigen";
    saves_nothing: "nothing is saved here", "hier wird nichts gespeichert";
    out_of_reach: "{} is out of reach", "{} ist nicht erreichbar";
    and_others: "{}, {} more are too", "{}, {} weitere auch nicht";
    out_of_reach_since: "{} is out of reach since {}", "{} ist seit {} nicht erreichbar";
    // objects
    object: "object {}", "Objekt {}";
    deleted: "deleted", "gelöscht";
    created: "created", "angelegt";
    changed: "changed", "geändert";
    by_at: "{} by {} at {}", "{} von {}, Knoten {}";
    made_or_deleted: "(object)", "(Objekt)";
    rows: "{} {row|rows}", "{} {Zeile|Zeilen}";
    not_shown: "{} more {column|columns}: {}; --json shows all", "{} weitere {Spalte|Spalten}: {}; --json zeigt alle";
    entity: "Entity", "Entität";
    pending_mark: "* the head office has not decided yet", "* die Zentrale hat noch nicht entschieden";
    nothing_found: "nothing found", "nichts gefunden";
    // save, import, export
    saved: "saved", "gespeichert";
    saved_pending: "saved here, the head office has not seen it yet", "hier gespeichert, die Zentrale hat es noch nicht gesehen";
    nothing_to_save: "nothing changed", "nichts geändert";
    transaction: "transaction {}", "Transaktion {}";
    undone: "undone", "rückgängig gemacht";
    undone_pending: "undone here, the head office has not seen it yet", "hier rückgängig gemacht, die Zentrale hat es noch nicht gesehen";
    nothing_to_undo: "nothing to undo", "nichts rückgängig zu machen";
    undo_dry: "dry run, nothing was undone", "Probelauf, nichts wurde rückgängig gemacht";
    undo_left: "left as it is: {}", "so gelassen: {}";
    undo_was: "was {}, became {}, is {}", "war {}, wurde {}, ist {}";
    undo_changed_since: "changed {}   transaction {}", "geändert {}   Transaktion {}";
    new_object: "{} is object {}", "{} ist Objekt {}";
    import_done: "{} {row|rows} read: {} new, {} changed, {} unchanged, {} bad", "{} {Zeile|Zeilen} gelesen: {} neu, {} geändert, {} unverändert, {} fehlerhaft";
    import_dry: "dry run, nothing was saved", "Probelauf, nichts wurde gespeichert";
    import_run: "import {}", "Import {}";
    import_rate: "{} rows, {} per second", "{} Zeilen, {} je Sekunde";
    import_preview: "the first rows as they would be saved:", "die ersten Zeilen, wie sie gespeichert würden:";
    line: "Line", "Zeile";
    line_number: "line {}", "Zeile {}";
    row_new: "new", "neu";
    row_changed: "changed", "geändert";
    row_unchanged: "unchanged", "unverändert";
    row_bad: "bad", "fehlerhaft";
    import_links: "references", "Verweise";
    bad_rows_in: "the bad rows stand in {}", "die fehlerhaften Zeilen stehen in {}";
    exported: "{} {row|rows} written to {}", "{} {Zeile|Zeilen} nach {} geschrieben";
    // changes, followers
    row_of_journal: "row {}", "Zeile {}";
    no_changes: "nothing became visible", "nichts wurde sichtbar";
    cause_saved: "saved here", "hier gespeichert";
    cause_applied: "arrived", "angekommen";
    cause_accepted: "accepted by the head office", "von der Zentrale angenommen";
    cause_merged: "merged by the head office", "von der Zentrale zusammengeführt";
    cause_refused: "refused by the head office", "von der Zentrale abgelehnt";
    cause_withdrawn: "out of sight", "nicht mehr sichtbar";
    cause_delivered: "come into sight", "sichtbar geworden";
    cause_rolled_back: "entries taken back", "Einträge zurückgenommen";
    cursor: "Cursor", "Zeiger";
    rows_behind: "Behind", "Rückstand";
    moved: "Moved", "Bewegt";
    no_followers: "nobody follows", "niemand folgt";
    follower_removed: "the follower \"{}\" is forgotten; it stood at {}", "\"{}\" ist vergessen; der Zeiger stand auf {}";
    // nodes, conflicts, quarantine, check-config
    name: "Name", "Name";
    number: "Number", "Nummer";
    role: "Role", "Rolle";
    joined: "Joined", "Beigetreten";
    yes: "yes", "ja";
    no: "no", "nein";
    account_written: "account of branch \"{}\" written to {}; it holds a secret and is good for {} {day|days}", "Konto der Filiale \"{}\" nach {} geschrieben; es enthält ein Geheimnis und gilt {} {Tag|Tage}";
    copy_and_join: "copy it to the branch, and there: {} join --sync-account FILE", "auf die Filiale kopieren, und dort: {} join --sync-account DATEI";
    no_conflicts: "no conflicts", "keine Konflikte";
    no_quarantine: "nothing in quarantine", "nichts in Quarantäne";
    refusal: "refusal {}", "Ablehnung {}";
    builds_on: "builds on the refused transaction {}", "baut auf der abgelehnten Transaktion {} auf";
    refused_was: "was {}, wanted {}, is {}", "war {}, gewollt {}, ist {}";
    settled_retried: "retried {}", "erneut gespeichert {}";
    settled_edited: "retried with other values {}", "mit anderen Werten gespeichert {}";
    settled_discarded: "discarded {}", "verworfen {}";
    history: "history", "Verlauf";
    history_follows: "before entry {} comes while the node runs", "vor Eintrag {} kommt, während der Knoten läuft";
    history_coming: "before entry {} still on its way: {} of {} entries are here", "vor Eintrag {} noch unterwegs: {} von {} Einträgen sind da";
    // migrate-store
    data_moved: "the data are in {} from now on   {} objects   {} entries, all compared", "die Daten stehen ab jetzt in {}   {} Objekte   {} Einträge, alles verglichen";
    data_moved_from: "those in {} are still there and count no more", "die in {} sind noch da und zählen nicht mehr";

    // recover, promote, follow
    state_of_head_office: "state", "Stand";
    recovering: "restored, waits for {}", "zurückgespielt, wartet auf {}";
    deposed: "another node is the head office by now: {} follow ADDRESS KEY", "ein anderer Knoten ist jetzt die Zentrale: {} follow ADDRESS KEY";
    waits_for: "waits for {}", "wartet auf {}";
    waits_for_nobody: "nothing to wait for; reign {}", "nichts abzuwarten; Epoche {}";
    go_on_without: "going on without one: {} recover --without NAME", "ohne eine weitermachen: {} recover --without NAME";
    confirm_promote: "this branch becomes the head office, and the old one must not save any more; type its new role, authoritative, to confirm", "diese Filiale wird die Zentrale, und die alte darf nichts mehr speichern; zur Bestätigung die neue Rolle eintippen: authoritative";
    confirm_follow: "this head office becomes a branch; type its new role, branch, to confirm", "diese Zentrale wird eine Filiale; zur Bestätigung die neue Rolle eintippen: branch";
    promoted: "{} is the head office from epoch {} on   position {}", "{} ist die Zentrale ab Epoche {}   Position {}";
    others_follow: "on each other node, while it is stopped: {} follow {} {}", "auf jedem anderen Knoten, solange er beendet ist: {} follow {} {}";
    follows: "{} follows {} from its next start on", "{} folgt ab dem nächsten Start {}";
    // backup, restore
    backed_up: "{}   position {}   {} {object|objects}   {}", "{}   Position {}   {} {Objekt|Objekte}   {}";
    making_backup: "backing up", "sichert";
    unpacking: "checking and unpacking", "prüft und packt aus";
    reading_files: "reading the contents of files", "liest die Inhalte der Dateien";
    proving: "following the log", "liest das Protokoll nach";
    backups: "backups", "Sicherung";
    compared_at: "compared", "Vergleich";
    all_as_there: "last {}, all as at the head office", "zuletzt {}, alles wie in der Zentrale";
    some_mended: "last {}, {} of {} entries and objects were wrong, {} are good now", "zuletzt {}, {} von {} Einträgen und Objekten waren falsch, {} sind jetzt gut";
    last_backup: "last {}", "zuletzt {}";
    proven_at: "proven restorable {}", "Rücksicherung geprüft {}";
    never_proven: "never proven restorable", "Rücksicherung nie geprüft";
    no_backups: "no backups", "keine Sicherungen";
    made: "Made", "Angelegt";
    size: "Size", "Größe";
    proven: "Proven restorable", "Rücksicherung geprüft";
    damaged: "damaged", "beschädigt";
    contents_missing: "{} {content of files that objects name is|contents of files that objects name are} not at this node, and not in the backup", "{} {Dateiinhalt, den Objekte nennen, ist|Dateiinhalte, die Objekte nennen, sind} nicht auf diesem Knoten und nicht in der Sicherung";
    of_newer_program: "of a newer program", "von neuerem Programm";
    cannot_be_read: "cannot be read", "nicht lesbar";
    verified: "{} can be restored: {} {part|parts}, {} {entry|entries}, {} {object|objects}, in {}", "{} lässt sich zurücksichern: {} {Teil|Teile}, {} {Eintrag|Einträge}, {} {Objekt|Objekte}, in {}";
    backup: "Backup", "Sicherung";
    parts_intact: "checked: all {} {part|parts} intact, restored beside the data and followed from the first entry to the last", "geprüft: alle {} {Teil|Teile} heil, neben den Daten zurückgesichert und vom ersten bis zum letzten Eintrag nachgelesen";
    live: "Live", "Jetzt";
    nothing_there: "no data; a node is made of the backup", "keine Daten; aus der Sicherung wird ein Knoten";
    data_broken: "the data cannot be opened: {}", "die Daten lassen sich nicht öffnen: {}";
    changes: "Changes", "Änderungen";
    later_gone: "{} {transaction comes|transactions come} after this backup and will be gone here; nodes that hold them hand them back", "{} {Transaktion kommt|Transaktionen kommen} nach dieser Sicherung und {wird|werden} hier fehlen; Knoten, die sie haben, reichen sie zurück";
    nothing_later: "nothing comes after this backup", "nach dieser Sicherung kommt nichts";
    other_way: "the log goes another way than that of the backup", "das Protokoll geht einen anderen Weg als das der Sicherung";
    pending_gone: "{} {save that waits|saves that wait} for the head office will be gone", "{} {Speicherung, die|Speicherungen, die} auf die Zentrale warten, werden fehlen";
    by_entity: "by entity: {}", "je Entität: {}";
    objects_changed: "{} changed", "{} geändert";
    position_column: "Position", "Position";
    objects_column: "Objects", "Objekte";
    space: "Space", "Platz";
    needs_free: "needs {}, {} free", "braucht {}, {} frei";
    plan: "Plan", "Ablauf";
    restore_plan: "safety backup → exchange of the data. The old data stay until {} restore --forget", "Sicherung des jetzigen Stands → Austausch der Daten. Die alten Daten bleiben bis {} restore --forget";
    restore_plan_new: "the restored data are put in their place", "die zurückgesicherten Daten kommen an ihren Platz";
    needed: "Needed", "Nötig";
    key_missing: "{} is missing and no backup holds it: bring the file from the old machine, or branches and head office do not know this node", "{} fehlt und steht in keiner Sicherung: die Datei von der alten Maschine holen, sonst kennen Filialen und Zentrale diesen Knoten nicht";
    type_name: "Type the node's name, {}, to go on:", "Zum Fortfahren den Namen des Knotens eintippen, {}:";
    restored: "{} was restored   position {}", "{} ist zurückgesichert   Position {}";
    safety_backup: "what was there is backed up as {}", "der Stand davor ist gesichert als {}";
    old_data: "old data {}   take them away with {} restore --forget", "alte Daten {}   entfernen mit {} restore --forget";
    will_wait: "when it starts it waits for what these branches have: {}   see {} recover", "nach dem Start wartet sie auf das, was diese Filialen haben: {}   siehe {} recover";
    nothing_forgotten: "no old data are kept", "keine alten Daten vorhanden";
    forgotten: "{} is gone", "{} ist entfernt";
    for_setup: "{}   sets up {}   position {}   {} {object|objects}   {}", "{}   richtet {} ein   Position {}   {} {Objekt|Objekte}   {}";
    copy_for_setup: "copy backups/{} and the account file (as .init-syncaccount) into the project directory of the new machine, then there: {} restore {}", "backups/{} und die Kontodatei (als .init-syncaccount) in das Projektverzeichnis des neuen Rechners kopieren, dann dort: {} restore {}";
    joins_at_start: "{} joins the head office when it starts: {} start --detach", "{} tritt beim Start der Zentrale bei: {} start --detach";
    // numbers
    node: "Node", "Knoten";
    next_number: "Next", "Nächste";
    left: "Left", "Übrig";
    leased_up_to: "Leased up to", "Zugeteilt bis";
    state: "State", "Zustand";
    range_valid: "valid", "gültig";
    range_low: "nearly used up", "fast aufgebraucht";
    range_used_up: "used up", "aufgebraucht";
    range_waiting: "waits for the head office", "wartet auf die Zentrale";
    range_invalid: "invalid", "ungültig";
    range_no_node: "belongs to no node", "gehört keinem Knoten";
    schema_step: "Step", "Schritt";
    schema_from: "From", "Bisher";
    schema_to: "To", "Neu";
    schema_in_the_way: "In the way", "Im Weg";
    schema_add: "add", "neu";
    schema_rename: "rename", "umbenennen";
    schema_widen: "widen", "erweitern";
    schema_narrow: "narrow", "einengen";
    schema_drop: "drop", "entfernen";
    schema_same: "nothing to do: the schema that holds is that of the file", "nichts zu tun: es gilt das Schema der Datei";
    schema_does_not_fit: "these objects are in the way", "diese Objekte stehen im Weg";
    schema_object: "object {} {} holds \"{}\"", "Objekt {} {} hat \"{}\"";
    schema_more: "and {} more", "und {} weitere";
    schema_other_type: "its values have no place in another type: add a new attribute beside it and drop this one", "seine Werte haben in einem anderen Typ keinen Platz: ein neues Attribut daneben anlegen und dieses entfernen";
    schema_other_parent: "what an entity inherits from cannot change", "wovon eine Entität erbt, kann sich nicht ändern";
    schema_becomes_abstract: "an entity that may have objects cannot become abstract", "eine Entität, die Objekte haben kann, kann nicht abstrakt werden";
    schema_other_entity: "it cannot move to another entity: add a new one there and drop this one", "es kann nicht zu einer anderen Entität: dort ein neues anlegen und dieses entfernen";
    schema_id_given_before: "its id was given before to something that was dropped: leave the id out", "seine id hatte schon etwas, das entfernt wurde: die id weglassen";
    no_number_ranges: "no number ranges", "keine Nummernkreise";
    no_void_numbers: "no numbers are missing", "keine Nummern fehlen";
    from_number: "From", "Von";
    to_number: "To", "Bis";
    cause: "Cause", "Grund";
    cause_may_be_missing: "may be missing", "fehlt vielleicht";
    time: "Time", "Zeit";
    transaction_column: "Transaction", "Transaktion";
    confirm_number: "the next number of {} becomes {}; type it to confirm", "die nächste Nummer von {} wird {}; zur Bestätigung eintippen";
    kept: "stays", "bleibt";
    other: "kept beside it", "daneben aufbewahrt";
    rule: "rule {}", "Regel {}";
    configuration_good: "{}: nothing is wrong", "{}: alles in Ordnung";
    is_default: "default", "Vorgabe";
    not_in_effect: "not in effect yet", "noch ohne Wirkung";
    in_effect_at_start: "at start", "beim Start";
    in_effect_at_once: "within seconds", "binnen Sekunden";
    // bench
    bench_ratio: "ratio", "Anteil";
    bench_count: "n", "Anzahl";
    bench_group: "n/commit", "je Commit";
    error: "error", "Fehler";
    warning: "warning", "Warnung";
}

/// The language that the environment asks for.
pub(crate) fn from_environment() -> &'static Words {
    of(|name| std::env::var(name).ok())
}

/// German where the first of `LC_ALL`, `LC_MESSAGES` and `LANG` that is set asks for it, else English.
fn of(variable: impl Fn(&str) -> Option<String>) -> &'static Words {
    let set = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().filter_map(variable).find(|value| !value.is_empty());
    let is_german = |value: &String| {
        let lower = value.to_ascii_lowercase();
        lower.strip_prefix("de").is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphabetic()))
    };
    if set.as_ref().is_some_and(is_german) { &GERMAN } else { &ENGLISH }
}

/// The template with its `{}` filled in, in order. `{row|rows}` becomes its first half where the part before it is 1, else
/// its second one.
pub(crate) fn fill(template: &str, parts: &[&dyn std::fmt::Display]) -> String {
    let mut parts = parts.iter();
    let (mut text, mut last, mut rest) = (String::new(), String::new(), template);
    while let Some((before, place, after)) = rest
        .split_once('{')
        .and_then(|(before, inside)| inside.split_once('}').map(|(place, after)| (before, place, after)))
    {
        text.push_str(before);
        if let Some((one, many)) = place.split_once('|') {
            text.push_str(if last == "1" { one } else { many });
        } else {
            last = parts.next().map(ToString::to_string).unwrap_or_default();
            text.push_str(&last);
        }
        rest = after;
    }
    text.push_str(rest);
    text
}

impl Words {
    /// A whole number in groups of three digits.
    pub(crate) fn count(&self, number: u64) -> String {
        let digits = number.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(self.thousands);
            }
            text.push(digit);
        }
        text
    }

    /// A size with a unit of thousands: `1.8 GB`.
    pub(crate) fn bytes(&self, bytes: u64) -> String {
        const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
        let (mut tenths, mut unit) = (bytes / 100, "kB");
        for next in UNITS.into_iter().skip(1) {
            if tenths < 10_000 {
                break;
            }
            (tenths, unit) = (tenths / 1000, next);
        }
        match bytes {
            0..1000 => format!("{bytes} B"),
            _ if tenths >= 100 => format!("{} {unit}", self.count(tenths / 10)),
            _ => format!("{}{}{} {unit}", tenths / 10, self.point, tenths % 10),
        }
    }

    /// A span of time in its two largest units: `3 d 4 h`.
    pub(crate) fn span(&self, seconds: u64) -> String {
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        match (days, hours, minutes) {
            (0, 0, 0) => format!("{seconds} s"),
            (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
            (0, _, _) => format!("{hours} h {minutes} min"),
            _ => format!("{} d {hours} h", self.count(days)),
        }
    }

    /// Milliseconds with one digit behind the point.
    pub(crate) fn milliseconds(&self, milliseconds: f64) -> String {
        format!("{milliseconds:.1} ms").replace('.', &self.point.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_fill_in_the_same_places() {
        for (english, german) in PAIRS {
            assert_eq!(english.matches("{}").count(), german.matches("{}").count(), "{english} / {german}");
            assert!(!german.is_empty() && !english.is_empty());
        }
    }

    #[test]
    fn the_environment_chooses_the_language() {
        let check = |variables: &[(&str, &str)], german: bool| {
            let look_up =
                |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(std::ptr::eq(of(look_up), &raw const GERMAN), german, "{variables:?}");
        };
        check(&[], false);
        check(&[("LANG", "de_DE.UTF-8")], true);
        check(&[("LANG", "de")], true);
        check(&[("LANG", "del_US")], false);
        check(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")], false);
        check(&[("LANG", "de_AT"), ("LC_ALL", "")], true);
        check(&[("LANG", "en_US"), ("LC_MESSAGES", "de_CH.UTF-8")], true);
    }

    #[test]
    fn numbers_carry_units() {
        let check = |found: String, expected: &str| assert_eq!(found, expected);
        check(ENGLISH.count(0), "0");
        check(ENGLISH.count(999), "999");
        check(ENGLISH.count(1_204_511), "1,204,511");
        check(GERMAN.count(1000), "1.000");
        check(ENGLISH.bytes(999), "999 B");
        check(ENGLISH.bytes(1000), "1.0 kB");
        check(ENGLISH.bytes(9_999), "9.9 kB");
        check(ENGLISH.bytes(10_000), "10 kB");
        check(ENGLISH.bytes(999_999), "999 kB");
        check(ENGLISH.bytes(1_000_000), "1.0 MB");
        check(GERMAN.bytes(1_840_000_000), "1,8 GB");
        check(ENGLISH.bytes(u64::MAX), "18,446 PB");
        check(ENGLISH.span(59), "59 s");
        check(ENGLISH.span(242), "4 min 2 s");
        check(ENGLISH.span(7200), "2 h 0 min");
        check(ENGLISH.span(3 * 86_400 + 4 * 3600), "3 d 4 h");
        check(GERMAN.milliseconds(0.94), "0,9 ms");
    }

    #[test]
    fn templates_are_filled_in_order() {
        assert_eq!(fill("{} of {}", &[&1, &"two"]), "1 of two");
        assert_eq!(fill("none", &[&1]), "none");
        assert_eq!(fill("{} and {}", &[&"{}"]), "{} and ");
        assert_eq!(fill("{} and {", &[&1]), "1 and {");
    }

    #[test]
    fn words_agree_with_the_number_before_them() {
        let check = |count: u64, expected: &str| {
            let text = fill("{} {row|rows} {was|were} read from {}", &[&ENGLISH.count(count), &"a.csv"]);
            assert_eq!(text, expected);
        };
        check(0, "0 rows were read from a.csv");
        check(1, "1 row was read from a.csv");
        check(2, "2 rows were read from a.csv");
        check(1001, "1,001 rows were read from a.csv");
        assert_eq!(fill(GERMAN.objects, &[&1]), "1 Objekt");
    }
}
