package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
)

// TestGuideNamesRealCommands looks up every command that the guides tell to type,
// and its flags.
func TestGuideNamesRealCommands(t *testing.T) {
	t.Parallel()
	root := newRoot(&app{}, nil)
	set, err := cloud.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, kind := range connections.Kinds() {
		for _, c := range set.List() {
			can := canConnect(kind)
			if kind == connections.Exchange && !can {
				t.Fatal("there is no command new exchange")
			}
			g := registration.MakeGuide(kind, registration.GuideOptions{Cloud: c, CanConnect: can, RequiredOnly: true, AppName: "One"})
			for _, step := range g.Steps {
				for _, item := range step.Items {
					if item.Command == "" || seen[item.Command] {
						continue
					}
					seen[item.Command] = true
					words := strings.Fields(item.Command)
					if words[0] != "c2conn" {
						t.Errorf("not ours: %s", item.Command)
						continue
					}
					cmd, rest, err := root.Find(words[1:])
					if err != nil || cmd == root || cmd.HasSubCommands() {
						t.Errorf("no such command: %s (%v)", item.Command, err)
						continue
					}
					for _, word := range rest {
						if name, ok := strings.CutPrefix(word, "--"); ok && cmd.Flag(name) == nil {
							t.Errorf("no flag %s: %s", word, item.Command)
						}
					}
				}
			}
		}
	}
	if len(seen) < 8 {
		t.Errorf("only %d commands", len(seen))
	}
}

// TestCatalogueContract keeps the names of the JSON that other programs read.
func TestCatalogueContract(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(registration.Document(registration.Purpose{Kind: connections.SharePoint}))
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	kind := doc["kinds"].([]any)[0].(map[string]any)
	first := kind["permissions"].([]any)[0].(map[string]any)
	for _, name := range []string{"resource", "resource_app_id", "role", "role_id", "type", "allows", "why", "source", "required", "writes"} {
		if first[name] == nil {
			t.Errorf("%s is missing: %s", name, text)
		}
	}
	if doc["version"] == nil || kind["kind"] == nil || kind["app_name"] == nil {
		t.Errorf("got %s", text)
	}
}
