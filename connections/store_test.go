package connections

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

var testTime = time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC)

// sample is a full connection of that name.
func sample(name string) Connection {
	return Connection{
		Name: name, Kind: Exchange, Location: Online, Cloud: "global", Account: "admin@contoso.com",
		Tenant:       Tenant{ID: "11111111-2222-3333-4444-555555555555", Domain: "contoso.onmicrosoft.com", Name: "Contoso"},
		Registration: Registration{Mode: ModeManual, ClientID: "22222222-2222-3333-4444-555555555555", AppName: "CodeTwo Backup Exchange", Catalogue: "2026-11"},
		Credential: Credential{Type: TypeCertificate, Thumbprint: strings.Repeat("AB", 20), ThumbprintSHA256: strings.Repeat("CD", 32),
			NotAfter: time.Date(2031, 11, 22, 0, 0, 0, 0, time.UTC), Secret: "store:01K9Z7ABCDEFGHJKMNPQRSTVWX"},
		Endpoints: Endpoints{EWS: "https://outlook.office365.com/EWS/Exchange.asmx"},
		Verification: Verification{At: testTime, State: StateVerified, Checks: map[string]string{
			"certificate": "pass", "token.graph": "pass", "token.exchange": "pass", "permissions": "warn", "graph.organization": "pass",
			"graph.user": "pass", "graph.groups": "pass", "graph.mailbox-settings": "pass", "ews": "pass"}},
	}
}

func testStore(t testing.TB, change ...func(*Options)) *Store {
	t.Helper()
	o := Options{Dir: filepath.Join(t.TempDir(), "state"), Now: func() time.Time { return testTime }, ScryptLogN: 4}
	for _, f := range change {
		f(&o)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustAdd(t testing.TB, s *Store, name string) Connection {
	t.Helper()
	c, err := s.Add(t.Context(), sample(name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func mustList(t testing.TB, s *Store) []Entry {
	t.Helper()
	entries, err := s.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestNothingIsCreatedByReading(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	if entries := mustList(t, s); len(entries) != 0 {
		t.Errorf("List = %v", entries)
	}
	if _, err := s.Get(t.Context(), "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	if err := s.Delete(t.Context(), "x"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Delete = %v", err)
	}
	if _, err := s.Update(t.Context(), "x", func(*Connection) error { return nil }); !errors.Is(err, ErrNotFound) {
		t.Errorf("Update = %v", err)
	}
	if _, err := s.Rename(t.Context(), "x", "y"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Rename = %v", err)
	}
	if orphans, err := s.Orphans(t.Context(), nil); err != nil || len(orphans) != 0 {
		t.Errorf("Orphans = %v, %v", orphans, err)
	}
	if _, err := s.Secret(t.Context(), "store:01K9Z7ABCDEFGHJKMNPQRSTVWX"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Secret = %v", err)
	}
	if _, err := os.Stat(s.Dir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the state directory was created: %v", err)
	}
}

func TestAddGetUpdateRenameDelete(t *testing.T) {
	t.Parallel()
	s, ctx := testStore(t), t.Context()
	added := mustAdd(t, s, "Contoso-Backup")
	if added.ID == "" || added.Schema != 1 || !added.Created.Equal(testTime) || !added.Updated.Equal(testTime) {
		t.Errorf("Add filled in %+v", added)
	}
	for _, key := range []string{"Contoso-Backup", "CONTOSO-backup", added.ID, strings.ToLower(added.ID)} {
		if got, err := s.Get(ctx, key); err != nil || !reflect.DeepEqual(got, added) {
			t.Errorf("Get(%q) = %+v, %v; want %+v", key, got, err, added)
		}
	}
	if _, err := s.Add(ctx, sample("contoso-BACKUP")); !errors.Is(err, ErrExists) {
		t.Errorf("Add of the same name = %v", err)
	}
	if _, err := s.Add(ctx, func() Connection { c := sample("other"); c.ID = added.ID; return c }()); !errors.Is(err, ErrExists) {
		t.Errorf("Add of the same id = %v", err)
	}
	changed, err := s.Update(ctx, added.ID, func(c *Connection) error {
		c.Account, c.ID, c.Schema = "new@contoso.com", "x", 9
		return nil
	})
	if err != nil || changed.Account != "new@contoso.com" || changed.ID != added.ID {
		t.Fatalf("Update = %+v, %v", changed, err)
	}
	if data, err := os.ReadFile(filepath.Join(s.previous, "contoso-backup.yaml")); err != nil || !strings.Contains(string(data), "admin@contoso.com") {
		t.Errorf("the previous version: %s, %v", data, err)
	}
	refused := errors.New("refused")
	if _, err := s.Update(ctx, added.ID, func(*Connection) error { return refused }); !errors.Is(err, refused) {
		t.Errorf("Update = %v", err)
	}
	mustAdd(t, s, "second")
	if _, err := s.Rename(ctx, "second", "CONTOSO-BACKUP"); !errors.Is(err, ErrExists) {
		t.Errorf("Rename onto another = %v", err)
	}
	if c, err := s.Rename(ctx, "contoso-backup", "contoso-backup"); err != nil || c.Name != "contoso-backup" {
		t.Errorf("Rename of the case only = %+v, %v", c, err)
	}
	if c, err := s.Rename(ctx, "contoso-backup", "Fabrikam"); err != nil || c.ID != added.ID {
		t.Errorf("Rename = %+v, %v", c, err)
	}
	if _, err := s.Get(ctx, "contoso-backup"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get of the old name = %v", err)
	}
	names := []string{}
	for _, e := range mustList(t, s) {
		names = append(names, e.Connection.Name)
	}
	if !reflect.DeepEqual(names, []string{"Fabrikam", "second"}) {
		t.Errorf("List = %v", names)
	}
	if err := s.Delete(ctx, "fabrikam"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, added.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("Get after Delete = %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.previous, "fabrikam.yaml")); err != nil {
		t.Errorf("the deleted version is not kept: %v", err)
	}
}

func TestUpdateKeepsCommentsAndUnknownFields(t *testing.T) {
	t.Parallel()
	s, ctx := testStore(t), t.Context()
	c := mustAdd(t, s, "a")
	path := s.Path("a")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := "# ours, ask Jan before changing\nowner: jan\n" + string(data)
	text = strings.Replace(text, "account: admin@contoso.com", "account: 'admin@contoso.com' # mailbox of the service", 1)
	text = strings.Replace(text, "tenant:\n", "tenant:\n  region: eu # unknown below\n", 1)
	text = strings.Replace(text, "endpoints:\n", "endpoints:\n  proxy: http://proxy # unknown\n", 1)
	if err := os.WriteFile(path, []byte(text), fileMode); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(ctx, c.ID, func(c *Connection) error {
		c.Tenant.Name, c.Endpoints.EWS = "Fabrikam", ""
		c.Verification.Checks = map[string]string{"ews": "fail"}
		c.Credential.NotAfter = time.Time{}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	after, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# ours, ask Jan before changing", "owner: jan", "account: 'admin@contoso.com' # mailbox of the service",
		"region: eu # unknown below", "proxy: http://proxy # unknown", "name: Fabrikam", "ews: fail"} {
		if !strings.Contains(string(after), want) {
			t.Errorf("%q is lost:\n%s", want, after)
		}
	}
	for _, gone := range []string{"not_after", "token.graph", "office365"} {
		if strings.Contains(string(after), gone) {
			t.Errorf("%q is still there:\n%s", gone, after)
		}
	}
}

func TestHandEditsAreNoticed(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	mustAdd(t, s, "a")
	mustList(t, s)
	path := s.Path("a")
	data, _ := os.ReadFile(path)
	// Same length, in place: only the time tells.
	edited := strings.Replace(string(data), "admin@", "other@", 1)
	if err := os.WriteFile(path, []byte(edited), fileMode); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if got := mustList(t, s)[0].Connection.Account; got != "other@contoso.com" {
		t.Errorf("List shows %q", got)
	}
}

func TestBadFilesNeverHideOthers(t *testing.T) {
	t.Parallel()
	s, ctx := testStore(t), t.Context()
	good := mustAdd(t, s, "good")
	data, err := os.ReadFile(s.Path("good"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	id := "id: " + good.ID
	put := func(file, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.connections, file), []byte(content), fileMode); err != nil {
			t.Fatal(err)
		}
	}
	named := func(name string) string { return strings.Replace(text, "name: good", "name: "+name, 1) }
	other := "id: 01K9Z7ABCDEFGHJKMNPQRSTVWX"
	line := func(want int) func(error) bool {
		return func(err error) bool {
			var d *DamagedError
			return errors.As(err, &d) && d.Line == want
		}
	}
	for _, tc := range []struct {
		file, content string
		ok            func(error) bool
	}{
		{"half.yaml", text[:len(text)/2], func(err error) bool { var d *DamagedError; return errors.As(err, &d) && d.Line > 0 }},
		{"empty.yaml", "", line(1)},
		{"foreign.yaml", "apiVersion: v1\nkind: Pod\n", line(1)},
		{"list.yaml", "- a\n- b\n", line(1)},
		{"binary.yaml", "\x00\x01\x02", func(err error) bool { var d *DamagedError; return errors.As(err, &d) }},
		{"newer.yaml", "schema: 7\nname: newer\nkind: {quantum: true}\n", func(err error) bool {
			var n *NewerSchemaError
			return errors.As(err, &n) && n.Found == 7
		}},
		{"kind.yaml", strings.Replace(strings.Replace(named("kind"), "kind: exchange", "kind: lotus", 1), id, other, 1), line(4)},
		{"mismatch.yaml", strings.Replace(named("elsewhere"), id, other, 1), line(3)},
		{"twin.yaml", named("twin"), line(0)},
		{"two.yaml", text + "---\nschema: 1\n", func(err error) bool { var d *DamagedError; return errors.As(err, &d) }},
		{"large.yaml", "# " + strings.Repeat("x", fileLimit), line(0)},
	} {
		put(tc.file, tc.content)
		name := strings.TrimSuffix(tc.file, fileEnding)
		found := false
		for _, e := range mustList(t, s) {
			switch e.Connection.Name {
			case "good":
				if e.Err != nil {
					t.Errorf("with %s: the good one has %v", tc.file, e.Err)
				}
			case name:
				found = true
				if e.Err == nil || !tc.ok(e.Err) {
					t.Errorf("%s: %v (%T)", tc.file, e.Err, e.Err)
				}
			}
		}
		if !found {
			t.Errorf("%s is not listed", tc.file)
		}
		if _, err := s.Add(ctx, sample(name)); !errors.Is(err, ErrExists) {
			t.Errorf("Add over %s = %v", tc.file, err)
		}
		if tc.file != "twin.yaml" {
			if _, err := s.Update(ctx, name, func(*Connection) error { return nil }); err == nil || errors.Is(err, ErrNotFound) {
				t.Errorf("Update of %s = %v", tc.file, err)
			}
		}
		if after, err := os.ReadFile(filepath.Join(s.connections, tc.file)); err != nil || string(after) != tc.content {
			t.Errorf("%s was changed", tc.file)
		}
		if err := os.Remove(filepath.Join(s.connections, tc.file)); err != nil {
			t.Fatal(err)
		}
	}
	// A link and a directory.
	if err := os.Symlink(s.Path("good"), filepath.Join(s.connections, "link.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.connections, "dir.yaml"), dirMode); err != nil {
		t.Fatal(err)
	}
	put(".hidden.yaml", "x")
	put("notes.txt", "x")
	entries := mustList(t, s)
	if len(entries) != 3 {
		t.Errorf("List = %v", entries)
	}
	for _, e := range entries {
		if (e.Err == nil) != (e.Connection.Name == "good") {
			t.Errorf("%s: %v", e.Path, e.Err)
		}
	}
	if _, err := s.Get(ctx, "link"); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Get through a link = %v", err)
	}
}

func TestErrorsDoNotQuoteTheFile(t *testing.T) {
	t.Parallel()
	const secret = "hunter2hunter2"
	for _, text := range []string{
		"schema: 1\nid: {" + secret + ": 1}\n",
		"schema: " + secret + "\n",
		"schema: 1\ntenant: " + secret + "\n",
		"schema: 1\ncredential: {secret: " + secret + "}\n",
		"schema: 1\ncreated: " + secret + "\n",
		"schema: 1\n" + secret + "\n",
	} {
		if _, err := ParseConnection("x.yaml", []byte(text)); err == nil || strings.Contains(err.Error(), secret[:7]) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestRightsAndOwners(t *testing.T) {
	t.Parallel()
	problem := func(err error, want PermissionProblem) bool {
		var p *PermissionError
		return errors.As(err, &p) && p.Problem == want && strings.Contains(p.Error(), p.Path)
	}
	t.Run("file too open", func(t *testing.T) {
		t.Parallel()
		s := testStore(t)
		mustAdd(t, s, "a")
		mustAdd(t, s, "b")
		if err := os.Chmod(s.Path("a"), 0o644); err != nil {
			t.Fatal(err)
		}
		entries := mustList(t, s)
		if len(entries) != 2 || !problem(entries[0].Err, TooOpen) || entries[1].Err != nil {
			t.Errorf("List = %+v", entries)
		}
		if _, err := s.Get(t.Context(), "a"); !problem(err, TooOpen) {
			t.Errorf("Get = %v", err)
		}
	})
	t.Run("directory too open", func(t *testing.T) {
		t.Parallel()
		s := testStore(t)
		mustAdd(t, s, "a")
		if err := os.Chmod(s.connections, 0o755); err != nil { //nolint:gosec // what is tested
			t.Fatal(err)
		}
		if _, err := s.List(t.Context()); !problem(err, TooOpen) {
			t.Errorf("List = %v", err)
		}
		if _, err := s.Add(t.Context(), sample("b")); !problem(err, TooOpen) {
			t.Errorf("Add = %v", err)
		}
	})
	t.Run("other owner", func(t *testing.T) {
		t.Parallel()
		s := testStore(t)
		mustAdd(t, s, "a")
		s.disk.owner = func(f facts) int {
			if f.mode.IsDir() {
				return f.uid
			}
			return f.uid + 1
		}
		if entries := mustList(t, s); !problem(entries[0].Err, OtherOwner) {
			t.Errorf("List = %+v", entries)
		}
		s.disk.owner = func(f facts) int { return f.uid + 1 }
		if _, err := s.Add(t.Context(), sample("b")); !problem(err, OtherOwner) {
			t.Errorf("Add = %v", err)
		}
	})
}

func TestNames(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "Contoso-Backup", "admin@contoso.com", "Büro Köln 2", "7 seas", strings.Repeat("ż", 64), "con", "東京"} {
		if err := ValidName(name); err != nil {
			t.Errorf("ValidName(%q) = %v", name, err)
		}
		if file := fileName(name); len(file) > 255 || file != fileName(strings.ToUpper(name)) || !connectionFile(file) {
			t.Errorf("fileName(%q) = %q, in capitals %q", name, file, fileName(strings.ToUpper(name)))
		}
	}
	for _, name := range []string{"", " a", "a ", "-a", ".a", "../x", "a/b", `a\b`, "a:b", "a\nb", "a\u202eb", "e\u0301", strings.Repeat("a", 65), "a%b", "\xff"} {
		var f *FieldError
		if err := ValidName(name); !errors.As(err, &f) || f.Field != "name" {
			t.Errorf("ValidName(%q) = %v", name, err)
		}
	}
	for name, want := range map[string]string{
		"A b": "a%20b.yaml", "CON": "%63on.yaml", "con.x": "%63on.x.yaml", "Com1": "%63om1.yaml", "common": "common.yaml",
		"ü": "%c3%9c.yaml", "\u212aelvin": "kelvin.yaml",
	} {
		if got := fileName(name); got != want {
			t.Errorf("fileName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestValidateNamesTheField(t *testing.T) {
	t.Parallel()
	onPremises := func(c *Connection) {
		c.Location, c.Cloud = OnPremises, ""
		c.Credential = Credential{Type: TypePassword, Secret: "env:PASSWORD"}
	}
	for _, tc := range []struct {
		field  string // "" = valid
		change func(*Connection)
	}{
		{"", func(*Connection) {}},
		{"", onPremises},
		{"", func(c *Connection) { c.Kind = MigrationSource }},
		{"", func(c *Connection) { c.Kind, c.Account = SharePoint, "" }},
		{"", func(c *Connection) { c.Credential.Secret = "windows:My/ABCD" }},
		{"", func(c *Connection) { c.Registration.Permissions = PermissionsSeed }},
		{"", func(c *Connection) { c.Kind, c.LegacyAdmin = SharePoint, LegacyAdmin{UPN: "a@b", Password: "env:PW"} }},
		{"legacy_admin", func(c *Connection) { c.LegacyAdmin.UPN = "a@b" }},
		{"legacy_admin.upn", func(c *Connection) { c.Kind, c.LegacyAdmin.Password = SharePoint, "env:PW" }},
		{"legacy_admin.upn", func(c *Connection) { c.Kind, c.LegacyAdmin.UPN = SharePoint, "admin" }},
		{"legacy_admin.password", func(c *Connection) { c.Kind, c.LegacyAdmin = SharePoint, LegacyAdmin{UPN: "a@b", Password: "hunter2"} }},
		{"registration.permissions", func(c *Connection) { c.Registration.Permissions = "recommended" }},
		{"schema", func(c *Connection) { c.Schema = 2 }},
		{"id", func(c *Connection) { c.ID = "1" }},
		{"name", func(c *Connection) { c.Name = "" }},
		{"kind", func(c *Connection) { c.Kind = "lotus" }},
		{"location", func(c *Connection) { c.Location = "" }},
		{"cloud", func(c *Connection) { c.Cloud = "" }},
		{"tenant.id", func(c *Connection) { c.Tenant.ID = "contoso" }},
		{"tenant.id", func(c *Connection) { c.Tenant = Tenant{} }},
		{"account", func(c *Connection) { c.Account = "" }},
		{"account", func(c *Connection) { c.Account = "admin" }},
		{"account", func(c *Connection) { c.Account = "a@b\x1b[2J" }},
		{"registration.client_id", func(c *Connection) { c.Registration.ClientID = "" }},
		{"registration.mode", func(c *Connection) { c.Registration.Mode = "magic" }},
		{"credential.type", func(c *Connection) { c.Credential.Type = TypePassword }},
		{"credential.type", func(c *Connection) { onPremises(c); c.Credential.Type = TypeCertificate }},
		{"credential.thumbprint", func(c *Connection) { c.Credential.Thumbprint = "AB:CD" }},
		{"credential.secret", func(c *Connection) { c.Credential.Secret = "hunter2" }},
		{"credential.secret", func(c *Connection) { c.Credential.Type, c.Credential.Secret = TypeClientSecret, "" }},
		{"credential.password", func(c *Connection) { c.Credential.Password = "file:relative" }},
		{"endpoints.ews", func(c *Connection) { c.Endpoints.EWS = "outlook.office365.com" }},
		{"endpoints.ews", func(c *Connection) { c.Endpoints.EWS = "https://user:pass@host/" }},
		{"verification.state", func(c *Connection) { c.Verification.State = "fine" }},
		{"verification.checks.ews", func(c *Connection) { c.Verification.Checks["ews"] = "ok" }},
	} {
		c := sample("a")
		tc.change(&c)
		err := c.Validate()
		var f *FieldError
		switch {
		case tc.field == "" && err != nil:
			t.Errorf("valid: %v", err)
		case tc.field != "" && (!errors.As(err, &f) || f.Field != tc.field):
			t.Errorf("%s: Validate = %v", tc.field, err)
		}
	}
}

func TestChangedMeanwhile(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	c := mustAdd(t, s, "a")
	for _, rename := range []string{"a", "b"} {
		_, err := s.Update(t.Context(), c.ID, func(c *Connection) error {
			c.Name, c.Account = rename, "x@contoso.com"
			data, err := os.ReadFile(s.Path("a"))
			if err != nil {
				return err
			}
			return os.WriteFile(s.Path("a"), append(data, "# edited\n"...), fileMode)
		})
		if !errors.Is(err, ErrChanged) {
			t.Errorf("Update = %v", err)
		}
	}
	if data, err := os.ReadFile(s.Path("a")); err != nil || !strings.HasSuffix(string(data), "# edited\n# edited\n") {
		t.Errorf("the edit is lost: %s %v", data, err)
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	mustAdd(t, s, "a")
	unlock, err := s.lock(t.Context(), s.connections)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	s.lockLimit = 20 * time.Millisecond
	var l *LockedError
	if _, err := s.Add(t.Context(), sample("b")); !errors.As(err, &l) {
		t.Errorf("Add = %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("stopped")
	cancel(stop)
	if _, err := s.Add(ctx, sample("b")); !errors.Is(err, stop) {
		t.Errorf("Add = %v", err)
	}
	// Readers do not wait.
	if len(mustList(t, s)) != 1 {
		t.Error("List waits for a writer")
	}
}

func TestIndexIsDisposable(t *testing.T) {
	t.Parallel()
	s := testStore(t)
	for i := range 5 {
		mustAdd(t, s, fmt.Sprintf("c%d", i))
	}
	want := mustList(t, s)
	path := filepath.Join(s.connections, indexName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string) {
		t.Helper()
		for range 2 {
			if got := mustList(t, s); !reflect.DeepEqual(got, want) {
				t.Errorf("%s: List = %+v", what, got)
			}
		}
	}
	for n := 0; n < len(whole); n += 7 {
		broken := append([]byte(nil), whole...)
		broken[n] ^= 0x5a
		if err := os.WriteFile(path, broken, fileMode); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("byte %d changed", n))
		if err := os.WriteFile(path, whole[:n], fileMode); err != nil {
			t.Fatal(err)
		}
		check(fmt.Sprintf("cut at %d", n))
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, dirMode); err != nil {
		t.Fatal(err)
	}
	check("a directory instead")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	// That of the version before: its records have fewer fields.
	old := bytes.Replace(whole, []byte(indexHeader), []byte("c2conn index 2\n"), 1)
	if err := os.WriteFile(path, old, fileMode); err != nil {
		t.Fatal(err)
	}
	check("an older form")
	if now, err := os.ReadFile(path); err != nil || !bytes.HasPrefix(now, []byte(indexHeader)) {
		t.Errorf("the older form stayed: %q, %v", now[:min(len(now), 20)], err)
	}
	if err := os.WriteFile(path, old, fileMode); err != nil {
		t.Fatal(err)
	}
	mustAdd(t, s, "d")
}
