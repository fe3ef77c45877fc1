//! The command that finds out more about a message.

use super::pattern::Arguments;

/// The modules that a command names. A missing name becomes a word in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) module: Option<String>,
    pub(super) patch: Option<String>,
    pub(super) object: Option<String>,
}

impl Names {
    /// The names in a message. Names with other characters than those of modules are left out, because
    /// the user copies the command to a shell.
    pub(super) fn of(arguments: &Arguments<'_>) -> Self {
        let name = |wanted: &str| {
            let found = arguments.iter().find(|(name, _)| *name == wanted);
            // The kernel's name for itself in a livepatch is NULL.
            let value = found.map(|(_, value)| if *value == "(null)" { "vmlinux" } else { *value });
            value.filter(|value| is_module_name(value)).map(str::to_owned)
        };
        Self { module: name("module"), patch: name("patch"), object: name("object") }
    }
}

/// Whether a text can be the name of a module: at most 55 bytes without special characters.
fn is_module_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=55).contains(&text.len()) && !text.starts_with('-') && text.bytes().all(is_plain)
}

/// The command of a row's key `next`:
///
/// - check: simulate the load. versions: with CRCs. traceable: with the functions that can be traced
/// - event: simulate the load of the patched module. reload: load it, unload it and load it again
/// - inspect, verify: these commands
/// - run TEXT: another command
/// - none
///
/// `others` has names for what the message does not name.
pub(super) fn command(next: &str, names: &Names, others: &Names) -> Option<String> {
    let pick = |own: &Option<String>, other: &Option<String>| own.clone().or_else(|| other.clone());
    let patch = pick(&names.patch, &others.patch);
    let module = names.module.clone().or_else(|| patch.clone()).or_else(|| others.module.clone());
    let module = module.unwrap_or_else(|| "MODULE".to_owned());
    let check = |name: &str| format!("relakit check {name}.ko --symbols /proc/kallsyms");
    let livepatch = patch.unwrap_or_else(|| "LIVEPATCH".to_owned());
    let object = pick(&names.object, &others.object).unwrap_or_else(|| "TARGET".to_owned());
    let events = |events: &[&str]| {
        let events: String = events.iter().map(|event| format!(" --event {event}:{object}")).collect();
        match object.as_str() {
            "vmlinux" => check(&livepatch),
            _ => format!("{} --target {object}.ko{events}", check(&livepatch)),
        }
    };
    Some(match next {
        "check" => check(&module),
        "versions" => format!("{} Module.symvers", check(&module)),
        "traceable" => {
            format!("{} --traceable /sys/kernel/tracing/available_filter_functions", check(&livepatch))
        }
        "event" => events(&["coming"]),
        "reload" => events(&["coming", "going", "coming"]),
        "inspect" => format!("relakit inspect {module}.ko"),
        "verify" => format!(
            "relakit verify {module}.ko --place /sys/module/{module}/sections --memory /proc/kcore \
             --symbols /proc/kallsyms"
        ),
        _ => next.strip_prefix("run ")?.replace("{module}", &module).replace("{patch}", &livepatch),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(arguments: &[(&'static str, &str)]) -> Names {
        Names::of(&arguments.to_vec())
    }

    #[test]
    fn a_command_has_the_names_of_the_message_or_else_of_the_log() {
        let none = Names::default();
        let found = names(&[("patch", "fix"), ("object", "nfs")]);
        let event = "relakit check fix.ko --symbols /proc/kallsyms --target nfs.ko --event coming:nfs";
        assert_eq!(command("event", &found, &none).as_deref(), Some(event));
        assert_eq!(command("event", &none, &found).as_deref(), Some(event));
        let unknown = command("event", &none, &none).unwrap();
        assert_eq!(unknown, event.replace("fix", "LIVEPATCH").replace("nfs", "TARGET"));
        let vmlinux = names(&[("patch", "fix"), ("object", "(null)")]);
        assert_eq!(command("reload", &vmlinux, &none), command("check", &found, &none));
        assert_eq!(command("none", &found, &none), None);
    }

    #[test]
    fn a_name_that_a_shell_would_read_is_not_in_a_command() {
        for name in ["$(reboot)", "a;b", "a b", "", "-rf", "../x", &"a".repeat(56)] {
            assert_eq!(names(&[("module", name)]), Names::default(), "{name}");
        }
        assert_eq!(names(&[("module", "snd-hda_intel2")]).module.as_deref(), Some("snd-hda_intel2"));
    }
}
