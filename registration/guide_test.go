package registration_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/internal/cloud"
	"github.com/c2conn/c2conn/registration"
)

var updateGuides = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "guide", name)
	if *updateGuides {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; write it with: go test ./registration -run %s -update", err, t.Name())
	}
	if got != string(want) {
		t.Errorf("%s has changed; if that is right: go test ./registration -run %s -update\n%s", path, t.Name(), got)
	}
}

func global(t *testing.T) cloud.Cloud {
	t.Helper()
	set, err := cloud.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, err := set.Find(cloud.Global)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	someClient = "2f1c9e1a-5f0c-4d6b-9a53-0b1f6d8e77aa"
	someTenant = "11111111-2222-3333-4444-555555555555"
)

func TestGuideGoldens(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		o := registration.GuideOptions{Cloud: global(t), CanConnect: true}
		g := registration.MakeGuide(kind, o)
		golden(t, string(kind)+".txt", g.Text(80))
		golden(t, string(kind)+".md", g.Markdown())
		golden(t, string(kind)+".manifest.json", g.Manifest.JSON())
	}
	seed := registration.GuideOptions{Cloud: global(t), Set: registration.SetSeed}
	golden(t, "seed.txt", registration.MakeGuide(connections.SharePoint, seed).Text(80))
	exchange := registration.GuideOptions{Cloud: global(t), CanConnect: true}
	golden(t, "exchange.sh", registration.AzScript(connections.Exchange, registration.Bash, exchange))
	golden(t, "exchange.ps1", registration.AzScript(connections.Exchange, registration.PowerShell, exchange))
	known := registration.GuideOptions{Cloud: global(t), CanConnect: true, ClientID: someClient, TenantID: someTenant, AppName: "O'Brien's backup"}
	golden(t, "known.txt", registration.MakeGuide(connections.SharePoint, known).Text(100))
	golden(t, "known.sh", registration.AzScript(connections.SharePoint, registration.Bash, known))
}

func TestGuideOfAnUnknownKind(t *testing.T) {
	t.Parallel()
	if g := registration.MakeGuide("other", registration.GuideOptions{}); len(g.Steps) != 0 {
		t.Errorf("got %+v", g)
	}
	if s := registration.AzScript("other", registration.Bash, registration.GuideOptions{}); s != "" {
		t.Errorf("got %s", s)
	}
}

// TestGuideFitsTheTerminal looks for lines that are too long though they could
// have been broken.
func TestGuideFitsTheTerminal(t *testing.T) {
	t.Parallel()
	for _, width := range []int{40, 60, 80, 120} {
		for _, kind := range kinds {
			for line := range strings.Lines(registration.MakeGuide(kind, registration.GuideOptions{Cloud: global(t), CanConnect: true}).Text(width)) {
				line = strings.TrimRight(line, "\n")
				text := strings.TrimLeft(line, " ")
				whole := strings.HasPrefix(text, "$ ") || strings.HasPrefix(text, "PS> ") || strings.HasPrefix(text, "https://") || strings.HasPrefix(text, "[ ] ") || !strings.Contains(text, " ")
				if utf8.RuneCountInString(line) > width && !whole {
					t.Errorf("%s at %d columns: %q", kind, width, line)
				}
			}
		}
	}
}

func TestManifestAsksForTheCatalogue(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		for _, requiredOnly := range []bool{false, true} {
			o := registration.GuideOptions{RequiredOnly: requiredOnly}
			var m struct {
				RequiredResourceAccess []struct {
					ResourceAppID  string `json:"resourceAppId"`
					ResourceAccess []struct{ ID, Type string }
				} `json:"requiredResourceAccess"`
			}
			if err := json.Unmarshal([]byte(registration.MakeManifest(kind, o).JSON()), &m); err != nil {
				t.Fatal(err)
			}
			var got, want []string
			for _, r := range m.RequiredResourceAccess {
				for _, a := range r.ResourceAccess {
					if a.Type != "Role" {
						t.Errorf("%s: %s is a %s", kind, a.ID, a.Type)
					}
					got = append(got, r.ResourceAppID+" "+a.ID)
				}
			}
			for _, p := range registration.Catalogue(registration.Purpose{Kind: kind}) {
				if p.Required || !requiredOnly {
					want = append(want, p.ResourceAppID+" "+p.RoleID)
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("%s, required only %v:\n got %v\nwant %v", kind, requiredOnly, got, want)
			}
		}
	}
}

func TestApplicationIsWhatGraphTakes(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(registration.MakeApplication(connections.Exchange, registration.GuideOptions{AppName: "  Büro\nBackup "}))
	if err != nil {
		t.Fatal(err)
	}
	var app map[string]any
	if err := json.Unmarshal(text, &app); err != nil {
		t.Fatal(err)
	}
	if app["displayName"] != "Büro Backup" || app["signInAudience"] != "AzureADMyOrg" || len(app["requiredResourceAccess"].([]any)) != 2 {
		t.Errorf("got %s", text)
	}
}

// names that would do harm where they are not quoted.
var awkward = []string{"O'Brien", `"; rm -rf ~; "`, "$(id)", "a\nb\nROLES\nb", "Büro 💾", "%PATH% & echo", "'@\n'@", "`id`", "@file", "{filter}", "{name}"}

// TestAzScriptIsGoodBash lets bash itself read the scripts.
func TestAzScriptIsGoodBash(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash on this machine")
	}
	shellcheck, noShellcheck := exec.LookPath("shellcheck")
	for _, kind := range kinds {
		for _, name := range append([]string{""}, awkward...) {
			script := registration.AzScript(kind, registration.Bash, registration.GuideOptions{Cloud: global(t), AppName: name, TenantID: "contoso.onmicrosoft.com", CanConnect: true})
			read(t, script, bash, "-n")
			if noShellcheck == nil && (name == "" || name == awkward[0]) {
				read(t, script, shellcheck, "-s", "bash", "-")
			}
		}
	}
	if noShellcheck != nil {
		t.Skip("no shellcheck on this machine: bash alone has read the scripts")
	}
}

func read(t *testing.T, script, program string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", filepath.Base(program), err, out)
	}
}

// TestScriptsHoldForeignTextInStringsOnly looks at what a shell sees of a name.
func TestScriptsHoldForeignTextInStringsOnly(t *testing.T) {
	t.Parallel()
	for _, name := range awkward {
		for _, shell := range []registration.Shell{registration.Bash, registration.PowerShell} {
			plain := registration.AzScript(connections.Exchange, shell, registration.GuideOptions{Cloud: global(t)})
			script := registration.AzScript(connections.Exchange, shell, registration.GuideOptions{Cloud: global(t), AppName: name})
			a, b := strings.Split(plain, "\n"), strings.Split(script, "\n")
			if len(a) != len(b) {
				t.Fatalf("%s, %q: %d lines instead of %d", shell, name, len(b), len(a))
			}
			for i := range a {
				if a[i] == b[i] {
					continue
				}
				// Only comments and the JSON of the quoted here-documents may differ.
				if !strings.HasPrefix(b[i], "#") && !strings.HasPrefix(b[i], `{"$filter"`) && !strings.HasPrefix(b[i], `  "displayName"`) {
					t.Errorf("%s, %q: line %d: %s", shell, name, i+1, b[i])
				}
				if !strings.HasPrefix(b[i], "#") && bytes.ContainsFunc([]byte(b[i]), func(r rune) bool { return r >= 0x80 }) {
					t.Errorf("%s, %q: not ASCII: %s", shell, name, b[i])
				}
			}
		}
	}
	odd := registration.GuideOptions{Cloud: global(t), ClientID: "’; rm", TenantID: "a b", CanConnect: true}
	if s := registration.AzScript(connections.Exchange, registration.PowerShell, odd); strings.Contains(s, "rm'") || strings.Contains(s, "'a b'") {
		t.Error("an id that is none went into the script")
	}
}

// TestDocsListThePermissions holds the table of docs/registering-by-hand.md against
// the catalogue.
func TestDocsListThePermissions(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "docs", "registering-by-hand.md"))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 10 && strings.Contains(cells[3], "-") && strings.Contains(cells[3], "`") {
			for i, p := range registration.Purposes() {
				if needed := strings.TrimSpace(cells[4+i]); needed != "" {
					key := fmt.Sprintf("%s %s %s %s %s", p.Kind, p.Set, strings.TrimSpace(cells[1]), strings.TrimSpace(cells[2]), strings.Trim(cells[3], " `"))
					got[key] = needed
				}
			}
		}
	}
	want := map[string]string{}
	for _, purpose := range registration.Purposes() {
		for _, p := range registration.Catalogue(purpose) {
			role := "`" + p.Role + "`"
			if p.Writes {
				role = "**" + role + "**"
			}
			want[fmt.Sprintf("%s %s %s %s %s", purpose.Kind, purpose.Set, p.Resource.Title(), role, p.RoleID)] = map[bool]string{true: "required", false: "optional"}[p.Required]
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("\n got %v\nwant %v", got, want)
	}
}
