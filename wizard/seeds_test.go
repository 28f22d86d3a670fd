package wizard_test

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// TestSeeds walks the table of what the five documents ask for: each row is true, and
// nothing that the wizards ask for or check is without one.
func TestSeeds(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(seedsFile)
	if err != nil {
		t.Fatal(err)
	}
	rows, complaints := parseSeeds(string(text))
	for _, c := range complaints {
		t.Error(c)
	}
	w := newSeedWalker(t)
	t.Run("rows", func(t *testing.T) {
		t.Parallel()
		t.Cleanup(func() {
			for _, c := range w.missing() {
				t.Error(c)
			}
		})
		for section := range slices.Values(sections(rows)) {
			t.Run(section, func(t *testing.T) {
				t.Parallel()
				for _, row := range rows {
					if row.section != section {
						continue
					}
					for _, c := range w.walk(t, row) {
						t.Error(c)
					}
				}
			})
		}
	})
}

func sections(rows []seedRow) (names []string) {
	for _, row := range rows {
		if !slices.Contains(names, row.section) {
			names = append(names, row.section)
		}
	}
	return names
}

// The walker itself: what is wrong with a row is told with its line, and what no row
// tells of with the line of one that is near.
func TestSeedWalker(t *testing.T) {
	t.Parallel()
	const (
		field   = "| x | field | `new exchange --manual` | `--client-id`, `C2CONN_CLIENT_ID` | Application details › Client ID | |"
		choice  = "| x | choice | `new KIND` | `--auto`, `C2CONN_REGISTRATION=auto` | Application registration › How is the application registered? › Automatic registration | |"
		warning = "| x | warning | `new exchange --on-premises --server 10.0.0.20` | | Server connection: “By an IP address Kerberos cannot be used” | |"
		check   = "| x | check `ews` | `new exchange --manual` | | Configuration › Exchange Web Services | |"
		step    = "| x | step | `new exchange` | | Configuration | |"
		printed = "| x | step | `app guide KIND` | `--app-name` | printed: “Grant admin consent” | |"
		screen  = "| x | button | `manage` | `--save` | connections: “n new” | |"
		hidden  = "| x | field | `new exchange --on-premises` | `--powershell-url`, `C2CONN_POWERSHELL_URL` | — | |"
	)
	tests := []struct{ name, row, old, new, want string }{
		{"as it should be", field, "", "", ""},
		{"a flag that does not exist", field, "--client-id", "--clientid", "the help has no flag --clientid"},
		{"the flag of another field", field, "--client-id", "--tenant-id", "--tenant-id does not answer “Client ID”"},
		{"a flag left out", field, "`--client-id`, ", "", "“Client ID” has the flag --client-id as well"},
		{"a misspelt variable", field, "C2CONN_CLIENT_ID", "C2CONN_CLIENTID", "the variable of “Client ID” is C2CONN_CLIENT_ID"},
		{"a misspelt field", field, "Client ID", "Client Id", "“Client Id” is not drawn"},
		{"a misspelt step", field, "Application details", "Application detail", "no step “Application detail”"},
		{"a step that these answers do not lead to", field, "--manual", "--on-premises", "no step “Application details”"},
		{"a command that does not exist", field, "new exchange", "new mailbox", "no command c2conn new mailbox"},
		{"a group of commands", printed, "app guide KIND", "app", "no command c2conn app"},
		{"a choice as it should be", choice, "", "", ""},
		{"a misspelt choice", choice, "Automatic registration", "Automatic", "not drawn"},
		{"the flag of another choice", choice, "--auto", "--manual", `--manual chooses "manual", not "auto"`},
		{"the variable of another choice", choice, "=auto", "=manual", "C2CONN_REGISTRATION=auto"},
		{"a choice without its flag", choice, "`--auto`, ", "", "has a flag: --auto"},
		{"a warning as it should be", warning, "", "", ""},
		{"other words", warning, "Kerberos", "NTLM", `it does not say "By an IP address NTLM cannot be used"`},
		{"a warning whose condition does not hold", warning, "10.0.0.20", "exch01.contoso.com", "it does not say"},
		{"a check as it should be", check, "", "", ""},
		{"another id", check, "ews", "owa", "Configure runs no check owa"},
		{"another title", check, "Exchange Web Services", "EWS", "“EWS” is not drawn"},
		{"a check of another kind", check, "new exchange", "new sharepoint", "“Exchange Web Services” is not drawn"},
		{"printed as it should be", printed, "", "", ""},
		{"not printed", printed, "Grant", "Give", `it does not say "Give admin consent"`},
		{"manage as it should be", screen, "", "", ""},
		{"not on the screen of manage", screen, "n new", "n other", `it does not say "n other"`},
		{"a field of scripts", hidden, "", "", ""},
		{"a field that is asked for", field, "Application details › Client ID", "—", "“Client ID” is on the screen"},
		{"no such field", hidden, "C2CONN_POWERSHELL_URL", "C2CONN_POWERSHELL", "no field has this variable"},
		{"no kind", step, "step", "page", `"page" is no kind of row`},
		{"too few cells", step, " | |", " |", "5 cells"},
		{"nothing on the screen", step, "Configuration", "", "it does not say what is on the screen"},
	}
	w := newSeedWalker(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			rows, got := parseSeeds("# Title\n\n" + seedsHeader + "\n| --- | --- | --- | --- | --- | --- |\n" + strings.Replace(tt.row, tt.old, tt.new, 1) + "\n")
			for _, row := range rows {
				got = append(got, w.walk(t, row)...)
			}
			switch all := strings.Join(got, "\n"); {
			case tt.want == "" && all != "":
				t.Error(all)
			case tt.want != "" && (!strings.HasPrefix(all, "docs/seeds.md:5: ") || !strings.Contains(all, tt.want)):
				t.Errorf("complaint %q, want one about line 5: %s", all, tt.want)
			}
		})
	}

	t.Run("missing", func(t *testing.T) {
		t.Parallel()
		w := newSeedWalker(t)
		rows, got := parseSeeds(strings.Join([]string{seedsHeader, step, field, choice, check}, "\n"))
		for _, row := range rows {
			got = append(got, w.walk(t, row)...)
		}
		got = append(got, w.missing()...)
		for want, there := range map[string]bool{
			"5: near this row one is missing for c2conn new exchange: the step “Plan” (plan)":                                                                       true,
			"2: near this row one is missing for c2conn new exchange: the step “Configuration” (configuration)":                                                     false,
			"2: near this row one is missing for c2conn new exchange: the field “Name of the connection” (name)":                                                    true,
			"5: near this row one is missing for c2conn new exchange: the field “Client ID” (client_id)":                                                            false,
			"4: near this row one is missing for c2conn new sharepoint: the field “Client ID” (client_id)":                                                          true,
			"5: near this row one is missing for c2conn new exchange: the choice “How is the application registered? › Manual registration” (registration=manual)":  true,
			"5: near this row one is missing for c2conn new exchange: the choice “How is the application registered? › Automatic registration” (registration=auto)": false,
			"2: near this row one is missing for c2conn new exchange: the check “Groups” (graph.groups)":                                                            true,
			"2: near this row one is missing for c2conn new exchange: the check “Exchange Web Services” (ews)":                                                      false,
			"2: near this row one is missing for c2conn new exchange: the check “Impersonation” (impersonation)":                                                    true,
		} {
			if slices.Contains(got, "docs/seeds.md:"+want) != there {
				t.Errorf("%t: complaint %q among\n%s", !there, want, strings.Join(got, "\n"))
			}
		}
	})
}
