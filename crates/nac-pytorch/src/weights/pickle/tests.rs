//! The machine on small pickles, hostile ones and random bytes.

use proptest::prelude::*;
use tch::Kind;

use super::{PickleError, Value, load};

fn refusal(bytes: &[u8]) -> String {
    load(bytes).unwrap_err().to_string()
}

/// `OrderedDict([("w", tensor)])` with one tensor of the given storage and view, in protocol 2.
fn one_tensor(storage: &[u8], view: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((".to_vec();
    bytes.extend(storage);
    bytes.extend(b"tQ");
    bytes.extend(view);
    bytes.extend(b"\x89}tRs.");
    bytes
}

const STORAGE: &[u8] = b"X\x07\0\0\0storagectorch\nHalfStorage\nX\x01\0\0\x007X\x03\0\0\0cpuK\x06";

#[test]
fn a_tensor_is_read_as_data() {
    let (value, pickle) = load(&one_tensor(STORAGE, b"K\x01K\x02K\x01\x86K\x01K\x05\x86")).unwrap();
    let Value::Dict(dict) = value else {
        panic!("{value:?}")
    };
    let [(Value::Text(name), Value::Tensor(tensor))] = pickle.dicts[dict].as_slice() else {
        panic!("{:?}", pickle.dicts)
    };
    let tensor = &pickle.tensors[*tensor];
    let storage = &pickle.storages[tensor.storage];
    assert_eq!(
        (&**name, tensor.offset, &*tensor.shape, &*tensor.stride),
        ("w", 1, &[2, 1][..], &[1, 5][..])
    );
    assert_eq!(
        (storage.kind, &*storage.key, storage.count),
        (Kind::Half, "7", 6)
    );
}

#[test]
fn numbers_are_pythons() {
    let number = |bytes: &[u8]| match load(bytes).unwrap().0 {
        Value::Int(number) => number,
        other => panic!("{other:?}"),
    };
    assert_eq!(number(b"J\xfe\xff\xff\xff."), -2);
    assert_eq!(number(b"M\x01\x02."), 513);
    assert_eq!(number(b"\x8a\x00."), 0);
    assert_eq!(number(b"\x8a\x01\xff."), -1);
    assert_eq!(number(b"\x8a\x09\0\0\0\0\0\0\0\0\x40."), 1 << 70);
    assert!(refusal(b"\x8a\x11\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0.").contains("too large"));
    assert!(matches!(load(b"G\xbf\xe0\0\0\0\0\0\0.").unwrap().0, Value::Float(x) if x == -0.5));
}

#[test]
fn plain_values_that_pytorch_takes_are_data() {
    let text = |bytes: &[u8]| match load(bytes).unwrap().0 {
        Value::Text(text) => text.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(text(b"ctorch\nfloat32\n."), "torch.float32");
    assert_eq!(text(b"ctorch\nfloat8_e4m3fn\n."), "torch.float8_e4m3fn");
    assert_eq!(text(b"ctorch\nbool\n."), "torch.bool");
    assert_eq!(
        text(b"ctorch\nper_channel_affine\n."),
        "torch.per_channel_affine"
    );
    let complex = [
        &b"c__builtin__\ncomplex\nG"[..],
        &1.5_f64.to_be_bytes(),
        b"G",
        &(-2.0_f64).to_be_bytes(),
        b"\x86R.",
    ];
    assert_eq!(text(&complex.concat()), "1.5-2j");
    let items = |bytes: &[u8]| match load(bytes).unwrap() {
        (Value::List(list), pickle) => pickle.lists[list].len(),
        other => panic!("{other:?}"),
    };
    assert_eq!(items(b"c__builtin__\nset\n](K\x01K\x02e\x85R."), 2);
    assert_eq!(items(b"\x80\x04\x8f(K\x01K\x02\x90."), 2);
    assert!(matches!(
        load(b"c__builtin__\nbytearray\nX\x02\0\0\0abX\x07\0\0\0latin-1\x86R.").unwrap().0,
        Value::Bytes(bytes) if *bytes == *b"ab"
    ));
}

#[test]
fn names_that_are_not_on_the_list_are_refused_with_their_place() {
    for (pickle, offset, name) in [
        (
            &b"\x80\x02cposix\nsystem\nX\x04\0\0\0true\x85R."[..],
            2,
            "posix.system",
        ),
        (b"\x80\x02c__builtin__\neval\n.", 2, "__builtin__.eval"),
        (
            b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
            18,
            "builtins.eval",
        ),
        (b"\x80\x02(icodecs\nopen\n.", 3, "codecs.open"),
        (b"ctorch\nload\n.", 0, "torch.load"),
        (
            b"ccollections\nOrderedDict.fromkeys\n.",
            0,
            "collections.OrderedDict.fromkeys",
        ),
        (
            b"ctorch._utils\n_rebuild_wrapper_subclass\n.",
            0,
            "torch._utils._rebuild_wrapper_subclass",
        ),
        (b"ctorch\nfloat_power\n.", 0, "torch.float_power"),
        (b"ctorch\nbits\n.", 0, "torch.bits"),
    ] {
        let error = load(pickle).unwrap_err();
        let expected = PickleError::Refused {
            offset,
            name: name.to_owned(),
        };
        assert_eq!(error, expected);
        assert!(error.to_string().contains(&format!("`{name}` is refused")));
    }
}

#[test]
fn other_instructions_and_broken_stacks_are_errors() {
    for (pickle, part) in [
        (&b""[..], "byte 0: the pickle ends"),
        (b"\x80\x02N", "byte 3: the pickle ends"),
        (b"\x80\x09N.", "protocol 9"),
        (b".", "too few values"),
        (b"NN.", "goes on after its end"),
        (b"N.N", "goes on after its end"),
        (b"t.", "not begun"),
        (b"N(\x85.", "too few values"),
        (b"NNs.", "too few values"),
        (b"NNNs.", "items set in None"),
        (b"}(Nu.", "a key without a value"),
        (b"NNa.", "items appended to None"),
        (b"h\x05.", "nothing remembered as 5"),
        (b"N)R.", "a call of None"),
        (b"}NbN.", "attributes of a dict set from None"),
        (b"N}b.", "attributes of None"),
        (
            b"ccollections\nOrderedDict\n(NNNNNNNNNtR.",
            "a call with 9 arguments",
        ),
        (
            b"ccollections\nOrderedDict\nN\x85R.",
            "arguments that torch.save does not write",
        ),
        (b"NQ.", "a persistent id"),
        (b"ccollections\nOrderedDict\n)\x81.", "instruction 0x81"),
        (b"X\xff\xff\xff\xffa.", "4294967295 bytes are missing"),
        (
            b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffa.",
            "bytes are missing",
        ),
        (b"X\x01\0\0\0\xff.", "not UTF-8"),
        (b"cno newline", "ends within a name"),
    ] {
        let error = refusal(pickle);
        assert!(error.contains(part), "{pickle:?}: {error}");
    }
}

#[test]
fn wrong_shapes_are_errors() {
    for (view, part) in [
        (&b"K\0K\x02\x85)"[..], "as many sizes as strides"),
        (b"K\0J\xff\xff\xff\xff\x85K\x01\x85", "size of -1"),
        (
            b"J\xff\xff\xff\xffK\x01\x85K\x01\x85",
            "negative storage offset",
        ),
        (
            b"K\0\x8a\x08\xff\xff\xff\xff\xff\xff\xff\xff\x85K\x01\x85",
            "size of -1",
        ),
        (
            b"K\0\x8a\x09\0\0\0\0\0\0\0\0\x40\x85K\x01\x85",
            "size of 1180591620717411303424",
        ),
        (b"K\0N\x85K\x01\x85", "None in the size"),
        (b"K\0NN", "the size of a tensor is None"),
    ] {
        let error = refusal(&one_tensor(STORAGE, view));
        assert!(error.contains(part), "{error}");
    }
    let many = [b"K\0(".as_slice(), &b"K\x01".repeat(65), b"t)"].concat();
    assert!(refusal(&one_tensor(STORAGE, &many)).contains("65 dimensions"));
}

#[test]
fn bombs_do_not_exhaust_anything() {
    // A tuple in a tuple in a tuple …; a list that holds itself; marks without end.
    let deep = [b"N".as_slice(), &b"\x85".repeat(1_000_000), b"."].concat();
    drop(load(&deep).unwrap());
    drop(load(b"]q\0h\0a.").unwrap());
    drop(load(b"}q\0X\x01\0\0\0ah\0s.").unwrap());
    assert!(refusal(&b"(".repeat(2_000)).contains("nested more than 1000 deep"));
    // A billion laughs: ten lists, each with ten times the one before.
    let mut laughs = b"\x80\x02]q\0".to_vec();
    for level in 0..40_u8 {
        laughs.extend(b"](");
        laughs.extend([b'h', level].repeat(10));
        laughs.extend([b'e', b'q', level + 1]);
    }
    laughs.extend(b"(\x88t");
    assert!(refusal(&laughs).contains("ends here"));
    // One string decoded again and again.
    let text = "a".repeat(1 << 20);
    let mut decode = b"\x80\x02c_codecs\nencode\nq\0X".to_vec();
    decode.extend((text.len() as u32).to_le_bytes());
    decode.extend(text.bytes());
    decode.extend(b"X\x06\0\0\0latin1\x86q\x010");
    decode.extend(b"h\0h\x01R".repeat(100));
    assert!(load(&decode).is_err());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = load(&bytes);
    }

    #[test]
    fn random_instructions_never_panic(
        parts in proptest::collection::vec(
            prop_oneof![
                any::<u8>().prop_map(|byte| vec![byte]),
                proptest::sample::select(vec![
                    &b"("[..], b"t", b")", b"]", b"}", b"N", b"K\x02", b"q\x01", b"h\x01", b"s", b"u", b"a", b"e",
                    b"b", b"R", b"Q", b"\x85", b"\x86", b"\x87", b"\x94", b"\x88", b".", b"X\x01\0\0\0a",
                    b"X\x07\0\0\0storage", b"ctorch\nFloatStorage\n", b"ccollections\nOrderedDict\n",
                    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch._utils\n_rebuild_parameter\n",
                    b"ctorch\nSize\n", b"ctorch\ndevice\n", b"c_codecs\nencode\n", b"c__builtin__\nset\n",
                    b"c__builtin__\ncomplex\n", b"c__builtin__\nbytearray\n", b"ctorch\nTensor\n",
                    b"ctorch._tensor\n_rebuild_from_type_v2\n", b"ctorch._utils\n_rebuild_tensor\n", b"\x8f", b"\x90",
                    b"ctorch\nfloat16\n", b"ccollections\nCounter\n",
                ]).prop_map(<[u8]>::to_vec),
            ],
            0..60,
        )
    ) {
        let _ = load(&parts.concat());
    }

    #[test]
    fn a_damaged_tensor_never_panics(at in 0_usize..120, byte: u8) {
        let mut pickle = one_tensor(STORAGE, b"K\x01K\x02K\x01\x86K\x01K\x05\x86");
        let at = at % pickle.len();
        pickle[at] = byte;
        let _ = load(&pickle);
    }
}
