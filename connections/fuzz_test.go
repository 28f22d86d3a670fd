package connections

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func FuzzParseConnection(f *testing.F) {
	for _, seed := range []string{designSample, serverSample, strings.Replace(designSample, "kind: exchange", "legacy_admin: {upn: a@b, password: env:PW}\nkind: sharepoint", 1), "", "schema: 1", "schema: 99\n", "- a", "a: &x [*x]", "schema: 1\nname: {}\n", "\x00", "schema: 1\n<<: {name: a}\n",
		strings.Replace(designSample, "name: contoso-backup", "name: &n contoso-backup", 1), "? {a: b}\n: c\n", "schema: 1\ncreated: 0000-00-00\n"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseConnection("f.yaml", data)
		if err != nil {
			var damaged *DamagedError
			var newer *NewerSchemaError
			if !errors.As(err, &damaged) && !errors.As(err, &newer) {
				t.Fatalf("untyped: %v", err)
			}
			if strings.ContainsFunc(err.Error(), hidden) && !strings.Contains(err.Error(), "\n") {
				t.Fatalf("unsafe text: %q", err)
			}
			return
		}
		// What can be read can be saved over its old text and read again.
		saved, err := render(c, data)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseConnection("f.yaml", saved)
		if err != nil || !reflect.DeepEqual(back, c) {
			t.Fatalf("%v\n%+v\n%+v\n%s", err, c, back, saved)
		}
		var decoded Connection
		if !decodeConnection(string(appendConnection(nil, c)), &decoded) || !reflect.DeepEqual(decoded, c) {
			t.Fatalf("the index changes it:\n%+v\n%+v", c, decoded)
		}
	})
}

func FuzzIndex(f *testing.F) {
	c := sample("a").normalised()
	f.Add([]byte(indexHeader))
	f.Add(appendRecord([]byte(indexHeader), "a.yaml", stamp{1, 2, 3}, c))
	f.Add(appendRecord(nil, "a.yaml", stamp{1, 2, 3}, Connection{}))
	f.Fuzz(func(_ *testing.T, data []byte) {
		idx := parseIndex(data)
		var c Connection
		for file, rec := range idx.records {
			idx.lookup(file, rec.stamp, &c)
		}
		decodeConnection(string(data), &c)
	})
}

func FuzzSplitCommand(f *testing.F) {
	for _, seed := range []string{"a b", `a "b \" c" 'd'`, `'`, "a\x00", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		argv, err := SplitCommand(s)
		if err != nil {
			return
		}
		// Quoted again, the words come back.
		quoted := make([]string, len(argv))
		for i, a := range argv {
			quoted[i] = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(a) + `"`
		}
		again, err := SplitCommand(strings.Join(quoted, " "))
		if err != nil || !reflect.DeepEqual(argv, again) {
			t.Fatalf("%q, then %q, %v", argv, again, err)
		}
	})
}

func FuzzKeyring(f *testing.F) {
	const recipient = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
	for _, seed := range []string{
		"schema: 1\nmode: passphrase\nrecipient: " + recipient + "\nfile: identity-01K9Z7ABCDEFGHJKMNPQRSTVWX.age\ncreated: 2026-11-22T06:00:00Z\n",
		"schema: 1\nmode: file\nrecipient: " + recipient + "\nfile: /etc/c2conn/key.txt\n",
		"schema: 1\nmode: file\nrecipient: " + recipient + "\nfile: 'C:\\keys\\key.txt'\n",
		"schema: 1\nmode: keychain\nrecipient: " + recipient + "\naccount: " + recipient + "\n",
		"schema: 1\nmode: passphrase\nrecipient: " + recipient + "\nfile: ../../other.age\n",
		"schema: 1\nmode: passphrase\nrecipient: " + recipient + "\nfile: ..\n",
		"schema: 1\nmode: keychain\nrecipient: " + recipient + "\naccount: \"\\e[2J\"\n",
		"schema: 99\n", "schema: -1\n", "", "- a", "a: &x [*x]", "mode: {}\n", "\x00", "created: 0000-00-00\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := parseKeyring("store.yaml", data)
		if err != nil {
			var damaged *DamagedError
			var newer *NewerSchemaError
			if !errors.As(err, &damaged) && !errors.As(err, &newer) || strings.ContainsFunc(err.Error(), hidden) {
				t.Fatalf("%q", err)
			}
			return
		}
		if k.Schema != SchemaVersion || strings.ContainsFunc(k.Mode+k.Recipient+k.Account+k.File, hidden) {
			t.Fatalf("accepted: %+v", k)
		}
		switch k.Mode {
		case modePassphrase: // the file stays in the directory of secrets
			if path := filepath.Join("secrets", k.File); filepath.Dir(path) != "secrets" || k.File == "." || k.File == ".." {
				t.Fatalf("leads to %q", path)
			}
		case modeFile:
			if !absolute(k.File) {
				t.Fatalf("leads to %q", k.File)
			}
		case modeKeychain:
			if k.Account == "" {
				t.Fatal("no account")
			}
		default:
			t.Fatalf("mode %q", k.Mode)
		}
	})
}

func FuzzIntent(f *testing.F) {
	for _, seed := range []string{
		`{"id":"01K9Z7ABCDEFGHJKMNPQRSTVWX","from":"a.yaml","to":"b.yaml"}`,
		`{"id":"01K9Z7ABCDEFGHJKMNPQRSTVWX","from":"../a.yaml","to":"b.yaml"}`,
		`{"id":"01K9Z7ABCDEFGHJKMNPQRSTVWX","from":".yaml","to":"b.yaml"}`,
		`{"id":"01K9Z7ABCDEFGHJKMNPQRSTVWX","from":"a\u0000.yaml","to":"..\\b.yaml"}`,
		`{"id":"x","from":"","to":""}`, `{"id":1}`, `[]`, `null`, ``, `{`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		i := parseIntent(data)
		if i == (intent{}) {
			return
		}
		for _, name := range []string{i.From, i.To} {
			if filepath.Base(name) != name || !strings.HasSuffix(name, fileEnding) || name[0] == '.' {
				t.Fatalf("leads to %q", name)
			}
		}
		if !validID(i.ID) {
			t.Fatalf("id %q", i.ID)
		}
	})
}
