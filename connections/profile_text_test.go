package connections_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
)

func textStore(t *testing.T) (*connections.Store, connections.Connection, string) {
	t.Helper()
	s, err := connections.Open(connections.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Add(t.Context(), connections.Connection{
		Name: "Contoso", Kind: connections.MigrationTarget, Location: connections.Online, Cloud: "global", Account: "target@contoso.com",
		Tenant:       connections.Tenant{ID: "11111111-2222-4333-8444-555555555555"},
		Registration: connections.Registration{Mode: connections.ModeManual, ClientID: "2f1c9e1a-0000-4000-8000-0000000077aa"},
		Credential:   connections.Credential{Type: connections.TypeClientSecret, Secret: "env:APP_SECRET"},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.Text(t.Context(), "contoso")
	if err != nil {
		t.Fatal(err)
	}
	return s, c, string(text)
}

func TestCheckText(t *testing.T) {
	t.Parallel()
	s, c, text := textStore(t)
	put := func(old, now string) string {
		if !strings.Contains(text, old) {
			t.Fatalf("no %q in\n%s", old, text)
		}
		return strings.Replace(text, old, now, 1)
	}
	line := func(text, key string) int { return strings.Count(text[:strings.Index(text, key)], "\n") + 1 }
	tests := map[string]struct {
		was, text, field string
		line             int
	}{
		"as it was":            {was: text, text: text},
		"a comment":            {was: text, text: text + "# ours\nowner: mail\n"},
		"renamed":              {was: text, text: put("name: Contoso", "name: fabrikam")},
		"another id":           {was: text, text: put(c.ID, "01ARZ3NDEKTSV4RRFFQ69G5FAV"), field: "id", line: line(text, "id:")},
		"another birth":        {was: text, text: put("created: 2", "created: 1"), field: "created", line: line(text, "created:")},
		"no kind":              {was: text, text: put("kind: migration-target", "kind: mailbox"), field: "kind", line: line(text, "kind:")},
		"mended":               {was: put("kind: migration-target", "kind: mailbox"), text: text},
		"mended with other id": {was: put("kind: migration-target", "kind: mailbox"), text: put(c.ID, "01ARZ3NDEKTSV4RRFFQ69G5FAV"), field: "id", line: line(text, "id:")},
		"mended and renamed":   {was: "nonsense: [", text: put("name: Contoso", "name: fabrikam"), field: "name", line: line(text, "name:")},
		"from nothing":         {was: "nonsense: [", text: put(c.ID, "01ARZ3NDEKTSV4RRFFQ69G5FAV")},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := s.CheckText(t.Context(), "contoso", []byte(tt.was), []byte(tt.text))
			if tt.field == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var damaged *connections.DamagedError
			var field *connections.FieldError
			if !errors.As(err, &damaged) || !errors.As(err, &field) || field.Field != tt.field || damaged.Line != tt.line {
				t.Errorf("%v, want %s in line %d", err, tt.field, tt.line)
			}
		})
	}
}

func TestPutText(t *testing.T) {
	t.Parallel()
	s, c, text := textStore(t)
	ctx := t.Context()
	edited := strings.Replace(text, "name: Contoso", "name: Fabrikam # the new one\nowner: mail", 1)
	now, err := s.PutText(ctx, "contoso", []byte(text), []byte(edited), func(c *connections.Connection) {
		c.ID, c.Name, c.Verification.State = "x", "y", connections.StateUnverified
	})
	if err != nil || now.ID != c.ID || now.Name != "Fabrikam" || now.Verification.State != connections.StateUnverified || now.Updated.Before(c.Updated) {
		t.Fatalf("%+v, %v", now, err)
	}
	kept, err := s.Text(ctx, "fabrikam")
	if err != nil || !strings.Contains(string(kept), "# the new one") || !strings.Contains(string(kept), "owner: mail") || !strings.Contains(string(kept), "state: unverified") {
		t.Errorf("%s, %v", kept, err)
	}
	if _, err := s.Get(ctx, "contoso"); !errors.Is(err, connections.ErrNotFound) {
		t.Errorf("the old name: %v", err)
	}

	// The text that was read counts, not what it was made to in the meantime.
	if _, err := s.PutText(ctx, "fabrikam", []byte(text), []byte(text), nil); !errors.Is(err, connections.ErrChanged) {
		t.Errorf("%v, want ErrChanged", err)
	}
	// Another target's mailbox, another connection's name.
	other := c
	other.ID, other.Name, other.Account = "", "other", "other@contoso.com"
	if _, err := s.Add(ctx, other); err != nil {
		t.Fatal(err)
	}
	var taken *connections.AccountTakenError
	if _, err := s.PutText(ctx, "fabrikam", kept, []byte(strings.Replace(string(kept), "target@", "OTHER@", 1)), nil); !errors.As(err, &taken) {
		t.Errorf("%v, want an AccountTakenError", err)
	}
	if _, err := s.PutText(ctx, "fabrikam", kept, []byte(strings.Replace(string(kept), "name: Fabrikam", "name: Other", 1)), nil); !errors.Is(err, connections.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}

	// A damaged file is mended, but not with the id of another.
	damaged := []byte("nonsense: [")
	if err := os.WriteFile(s.Path("fabrikam"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Text(ctx, "fabrikam"); err != nil || string(got) != string(damaged) {
		t.Errorf("%q, %v", got, err)
	}
	theirs, err := s.Get(ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutText(ctx, "fabrikam", damaged, []byte(strings.Replace(string(kept), c.ID, theirs.ID, 1)), nil); !errors.Is(err, connections.ErrExists) {
		t.Errorf("%v, want ErrExists", err)
	}
	if _, err := s.PutText(ctx, "fabrikam", damaged, kept, nil); err != nil {
		t.Error(err)
	}
	if back, err := s.Get(ctx, c.ID); err != nil || back.Name != "Fabrikam" {
		t.Errorf("%+v, %v", back, err)
	}
	// A copy has the id of its original, and gets one of its own.
	original, err := s.Text(ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	twin := strings.NewReplacer("name: other", "name: twin", "other@", "twin@").Replace(string(original))
	if err := os.WriteFile(s.Path("twin"), []byte(twin), 0o600); err != nil {
		t.Fatal(err)
	}
	own := strings.Replace(twin, theirs.ID, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 1)
	if _, err := s.PutText(ctx, "twin", []byte(twin), []byte(own), nil); err != nil {
		t.Error(err)
	}
	if entries, err := s.List(ctx); err != nil || len(entries) != 3 || entries[0].Err != nil || entries[1].Err != nil || entries[2].Err != nil {
		t.Errorf("%+v, %v", entries, err)
	}
	if _, err := s.Text(ctx, "nobody"); !errors.Is(err, connections.ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
}
