//! The tree that a livepatch gives to `klp_enable_patch`, in each of its forms.

#![expect(
    clippy::unwrap_used,
    clippy::arithmetic_side_effects,
    reason = "test code: what is not as it should be is a failed test"
)]

use proptest::prelude::*;
use relakit::{Module, Profile};
use relakit_linux::patch::{self, Form, NoTree, Text, Value};
use relakit_model::image::{ALLOC, Builder, Entry, GLOBAL, PROGBITS, R_32S, R_64, R_PC32, UNDEF, WRITE};

const EXEC: u64 = 4;

/// A function: old name, whether it has a new function, sympos.
type Func = (Option<&'static str>, bool, u64);
/// An object: its name and functions.
type Object = (Option<&'static str>, Vec<Func>);

/// Writes structures into a section of its own, and the pointers in them.
struct Writer {
    builder: Builder,
    data: u32,
    strings: u32,
    texts: u32,
    new_func: u32,
    /// The pointers of each section.
    pointers: Vec<(u32, Entry)>,
}

impl Writer {
    fn new(section: &str) -> Self {
        let mut builder = Builder::new();
        let data = builder.section(section, PROGBITS, ALLOC | WRITE, Vec::new());
        let strings = builder.section(".rodata.str1.1", PROGBITS, ALLOC, Vec::new());
        let code = builder.section(".text", PROGBITS, ALLOC | EXEC, vec![0; 64]);
        let texts = builder.symbol("", 3, u16::try_from(strings).unwrap(), 0);
        let new_func = builder.symbol("new_func", GLOBAL, u16::try_from(code).unwrap(), 16);
        Self { builder, data, strings, texts, new_func, pointers: Vec::new() }
    }

    fn bytes(&mut self) -> &mut Vec<u8> {
        &mut self.builder.at(self.data).bytes
    }

    fn end(&mut self) -> u64 {
        self.bytes().len() as u64
    }

    fn number(&mut self, number: u64) {
        self.bytes().extend(number.to_le_bytes());
    }

    fn zeros(&mut self, count: usize) {
        let end = self.bytes().len() + count;
        self.bytes().resize(end, 0);
    }

    fn pointer(&mut self, symbol: u32, addend: i64) {
        let at = self.end();
        self.pointers.push((self.data, (at, symbol, R_64, addend)));
        self.number(0);
    }

    fn text(&mut self, text: Option<&str>) {
        let Some(text) = text else { return self.number(0) };
        let strings = self.builder.at(self.strings);
        let at = i64::try_from(strings.bytes.len()).unwrap();
        strings.bytes.extend(text.bytes().chain([0]));
        self.pointer(self.texts, at);
    }

    fn func(&mut self, (name, new_func, sympos): Func, padding: usize) {
        self.text(name);
        if new_func {
            self.pointer(self.new_func, 0)
        } else {
            self.number(0)
        }
        self.number(sympos);
        self.zeros(padding);
    }

    /// The file, with `init` as the code that calls `klp_enable_patch`.
    fn file(mut self, init: &dyn Fn(&mut Builder)) -> Vec<u8> {
        for section in 1..=self.data {
            let of = self.pointers.iter().filter(|(of, _)| *of == section);
            let entries: Vec<_> = of.map(|(_, entry)| *entry).collect();
            self.builder.rela(section, &entries);
        }
        init(&mut self.builder);
        self.builder.build()
    }
}

/// Code that loads the address of a place in section 1 with `opcode`, and calls klp_enable_patch.
fn loads(builder: &mut Builder, opcode: [u8; 3], r_type: u32, addend: i64) {
    let data = builder.symbol("", 3, 1, 0);
    let enable = builder.symbol("klp_enable_patch", GLOBAL, UNDEF, 0);
    let code = [&[0x53][..], &opcode, &[0; 4], &[0xe8, 0, 0, 0, 0, 0xc3]].concat();
    let init = builder.section(".init.text", PROGBITS, ALLOC | EXEC, code);
    builder.rela(init, &[(4, data, r_type, addend), (9, enable, R_PC32, -4)]);
}

fn moves(builder: &mut Builder) {
    loads(builder, [0x48, 0xc7, 0xc7], R_32S, 0);
}

fn length<T>(list: &[T]) -> i64 {
    i64::try_from(list.len()).unwrap()
}

/// `struct klp_patch` at offset 0, then the objects, then the functions.
fn klp(objects: &[Object], replace: bool) -> Writer {
    let mut writer = Writer::new(".data");
    let this = writer.builder.symbol("__this_module", GLOBAL, UNDEF, 0);
    let data = writer.builder.symbol("", 3, 1, 0);
    writer.pointer(this, 0);
    writer.pointer(data, 224);
    writer.number(0);
    writer.number(u64::from(replace));
    writer.zeros(192);
    let mut funcs = 224 + 168 * (length(objects) + 1);
    for (name, functions) in objects {
        writer.text(*name);
        writer.pointer(data, funcs);
        writer.zeros(152);
        funcs += 152 * (length(functions) + 1);
    }
    writer.zeros(168);
    for (_, functions) in objects {
        functions.iter().for_each(|func| writer.func(*func, 128));
        writer.zeros(152);
    }
    writer
}

fn klp_build(objects: &[Object]) -> Writer {
    let mut writer = Writer::new(".init.klp_objects");
    let section = u16::try_from(writer.builder.sections.len()).unwrap();
    let funcs = writer.builder.symbol("", 3, section, 0);
    let mut at = 0;
    for (name, functions) in objects {
        writer.text(*name);
        writer.pointer(funcs, at);
        writer.zeros(40);
        writer.number(functions.len() as u64);
        at += 24 * length(functions);
    }
    writer.data = writer.builder.section(".init.klp_funcs", PROGBITS, ALLOC | WRITE, Vec::new());
    for (_, functions) in objects {
        functions.iter().for_each(|func| writer.func(*func, 0));
    }
    writer
}

fn kpatch(objects: &[Object]) -> Writer {
    let mut writer = Writer::new(".kpatch.funcs");
    for (object, functions) in objects {
        for (name, new_func, sympos) in functions {
            if *new_func {
                writer.pointer(writer.new_func, 0)
            } else {
                writer.number(0)
            }
            writer.zeros(24);
            writer.number(*sympos);
            writer.text(*name);
            writer.text(Some(object.unwrap_or("vmlinux")));
        }
    }
    writer
}

/// The tree as the library reads it.
fn read(file: &[u8]) -> Result<(Form, Option<bool>, Vec<Object>), NoTree> {
    let module = Module::parse(file, Profile::LINUX_6_12).unwrap();
    let mut pointers: Vec<_> = patch::pointers(&module).collect();
    pointers.sort_unstable();
    let tree = patch::find(&module, &pointers)?;
    let text = |text: Text<'_>| match text {
        Text::Null => None,
        Text::Known(name) => Some(&*String::from_utf8(name.to_vec()).unwrap().leak()),
        Text::Unknown => Some("?"),
    };
    let objects = tree.objects().map(|object| {
        let funcs = object.funcs();
        let func =
            |func: patch::Func<'_>| (text(func.old_name), func.new_func != Value::Null, func.old_sympos);
        (text(object.name), funcs.map(func).collect())
    });
    Ok((tree.form(), tree.replace(), objects.collect()))
}

fn two_objects() -> Vec<Object> {
    vec![
        (None, vec![(Some("cmdline_proc_show"), true, 0), (Some("get_name"), true, 2)]),
        (Some("loop"), vec![(Some("lo_open"), true, 1)]),
    ]
}

#[test]
fn the_address_is_that_which_the_init_function_loads() {
    let expected = || Ok((Form::Klp, Some(true), two_objects()));
    assert_eq!(read(&klp(&two_objects(), true).file(&moves)), expected());
    let lea = |builder: &mut Builder| loads(builder, [0x48, 0x8d, 0x3d], R_PC32, -4);
    assert_eq!(read(&klp(&two_objects(), true).file(&lea)), expected());
    // It is loaded into another register, so only the shape tells.
    let other = |builder: &mut Builder| loads(builder, [0x48, 0xc7, 0xc6], R_32S, 0);
    assert_eq!(read(&klp(&two_objects(), true).file(&other)), expected());
}

#[test]
fn a_module_without_a_call_has_no_tree() {
    assert_eq!(read(&klp(&two_objects(), true).file(&|_| ())), Err(NoTree::NotCalled));
    assert_eq!(read(&klp_build(&two_objects()).file(&|_| ())), Err(NoTree::NotCalled));
    assert_eq!(read(&kpatch(&two_objects()).file(&|_| ())), Err(NoTree::NotCalled));
}

#[test]
fn memory_that_is_made_at_run_time_has_no_tree() {
    let writer = Writer::new(".data");
    let no_load = |builder: &mut Builder| loads(builder, [0x48, 0xc7, 0xc6], R_32S, 0);
    assert_eq!(read(&writer.file(&no_load)), Err(NoTree::MadeAtRunTime));
}

#[test]
fn two_calls_with_different_addresses_have_no_tree() {
    let twice = |builder: &mut Builder| {
        moves(builder);
        loads(builder, [0x48, 0xc7, 0xc7], R_32S, 8);
    };
    let mut writer = klp(&two_objects(), false);
    // A second place with the shape of a livepatch, so that the shape does not tell either.
    let (this, data) = (writer.pointers[0].1.1, writer.pointers[1].1.1);
    let at = writer.end();
    writer.pointer(this, 0);
    writer.pointer(data, 224);
    assert!(at > 0);
    assert_eq!(read(&writer.file(&twice)), Err(NoTree::MadeAtRunTime));
}

#[test]
fn klp_build_and_kpatch_leave_replace_to_the_init_function() {
    assert_eq!(read(&klp_build(&two_objects()).file(&moves)), Ok((Form::KlpBuild, None, two_objects())));
    let (form, replace, objects) = read(&kpatch(&two_objects()).file(&moves)).unwrap();
    assert_eq!((form, replace), (Form::Kpatch, None));
    let names: Vec<_> = objects.iter().map(|(name, functions)| (*name, functions.len())).collect();
    assert_eq!(names, [(None, 1), (None, 1), (Some("loop"), 1)], "one object for each function");
}

#[test]
fn a_list_ends_at_the_first_empty_structure() {
    let gap = vec![(None, vec![(Some("a"), true, 0), (None, false, 0), (Some("b"), true, 0)])];
    let (_, _, objects) = read(&klp(&gap, false).file(&moves)).unwrap();
    assert_eq!(objects[0].1.len(), 1);
    // klp_for_each_func_static: any field that is set continues the list.
    for func in [(None, true, 0), (None, false, 1), (Some("c"), false, 0)] {
        let set = vec![(None, vec![(Some("a"), true, 0), func, (Some("b"), true, 0)])];
        let (_, _, objects) = read(&klp(&set, false).file(&moves)).unwrap();
        assert_eq!(objects, set);
    }
}

#[test]
fn a_list_without_an_end_ends_with_its_section() {
    let end = klp(&two_objects(), false).bytes().len() - 152;
    for (cut, last) in [(0, 1), (1, 0), (151, 0)] {
        let mut writer = klp(&two_objects(), false);
        writer.bytes().truncate(end - cut);
        let (_, _, objects) = read(&writer.file(&moves)).unwrap();
        assert_eq!(objects[1].1.len(), last, "without its last {cut} bytes, a structure is not whole");
    }
}

#[test]
fn a_name_is_cut_after_1024_bytes_and_needs_its_nul() {
    let name = |length: usize| &*"n".repeat(length).leak();
    for (length, known) in [(1, 1), (511, 511), (1023, 1023), (1024, 1024), (5000, 1024)] {
        let objects = vec![(None, vec![(Some(name(length)), true, 0)])];
        let (_, _, read) = read(&klp(&objects, false).file(&moves)).unwrap();
        assert_eq!(read[0].1[0].0.unwrap().len(), known, "{length}");
    }
    let mut writer = klp(&[(None, vec![(Some("f"), true, 0)])], false);
    let strings = writer.strings;
    writer.builder.at(strings).bytes.pop();
    let (_, _, objects) = read(&writer.file(&moves)).unwrap();
    assert_eq!(objects[0].1[0].0, Some("?"));
}

fn objects() -> impl Strategy<Value = Vec<Object>> {
    let name = prop::option::of(prop::sample::select(vec!["a", "loop", "ext4", "x.isra.0", "vfat"]));
    // A list ends at an empty structure, so each has a name.
    let func = (prop::sample::select(vec!["f", "g", "h.cold"]), any::<bool>(), 0..4u64);
    let func = func.prop_map(|(name, new_func, sympos)| (Some(name), new_func, sympos));
    prop::collection::vec((name, prop::collection::vec(func, 0..4)), 0..5)
}

proptest! {
    #[test]
    fn every_tree_is_read_as_it_was_written(objects in objects(), replace: bool) {
        let (form, read_replace, all) = read(&klp(&objects, replace).file(&moves)).unwrap();
        prop_assert_eq!((form, read_replace, all), (Form::Klp, Some(replace), objects.clone()));
        let (form, _, all) = read(&klp_build(&objects).file(&moves)).unwrap();
        prop_assert_eq!((form, all), (Form::KlpBuild, objects.clone()));
        let (_, _, all) = read(&kpatch(&objects).file(&moves)).unwrap();
        let flat: Vec<_> = objects.iter().flat_map(|(object, functions)| {
            functions.iter().map(|func| (*object, vec![*func]))
        }).collect();
        prop_assert_eq!(all, flat);
    }

    #[test]
    fn bytes_that_are_no_tree_are_read_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        pointers in prop::collection::vec((0..600u64, 0..3u32, any::<i16>()), 0..40),
    ) {
        let mut writer = Writer::new(".data");
        writer.bytes().extend(bytes);
        let symbols = [writer.texts, writer.new_func, 0];
        let pointer = |&(at, symbol, addend): &(u64, u32, i16)| {
            (1, (at, symbols[symbol as usize], R_64, i64::from(addend)))
        };
        writer.pointers = pointers.iter().map(pointer).collect();
        let _ = read(&writer.file(&moves));
    }
}
