package registration_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/c2conn/c2conn/connections"
	"github.com/c2conn/c2conn/registration"
)

// standIn plays the Azure CLI: it notes method, path and body of each call of
// Graph in the file $AZ/calls, and answers what the script's queries would find.
// $AZ/name-taken, $AZ/no-principal and $AZ/denied change the answers; the first
// request for a service principal comes too early.
const standIn = `#!/usr/bin/env bash
set -eu
if [ "$1 $2" = "account show" ]; then echo 11111111-2222-3333-4444-555555555555; exit 0; fi
method='' url='' body='' params=''
while [ $# -gt 0 ]; do
  case $1 in
    --method) method=$2; shift ;;
    --url) url=$2; shift ;;
    --body) body=$(tr -d '\n' < "${2#@}"); shift ;;
    --uri-parameters) params=$(cat "${2#@}"); shift ;;
  esac
  shift
done
echo "$method ${url#https://graph.microsoft.com/v1.0/} $params$body" >> "$AZ/calls"
case "$method ${url##*/} $params" in
  "get applications "*) [ ! -e "$AZ/name-taken" ] || echo 99999999-0000-0000-0000-000000000000 ;;
  "post applications "*) echo aaaaaaaa-0000-0000-0000-000000000000 ;;
  "get servicePrincipals "*aaaaaaaa*) ;;
  "get servicePrincipals "*ff1*) [ -e "$AZ/no-principal" ] || echo eeeeeeee-0000-0000-0000-000000000000 ;;
  "get servicePrincipals "*) echo dddddddd-0000-0000-0000-000000000000 ;;
  "post servicePrincipals "*)
    if [ ! -e "$AZ/tried" ]; then touch "$AZ/tried"; echo 'Bad Request: does not reference a valid application object' >&2; exit 1; fi
    echo bbbbbbbb-0000-0000-0000-000000000000 ;;
  "get appRoleAssignments "*) ;;
  "post appRoleAssignments "*)
    if [ -e "$AZ/denied" ] && [[ $body == *dddddddd* ]]; then echo 'Forbidden({"error":{"code":"Authorization_RequestDenied"}})' >&2; exit 1; fi ;;
  *) echo "unexpected: $method $url" >&2; exit 9 ;;
esac
`

// runScript runs a script with the stand-in; it gives the exit code, what was
// printed and the calls that were made.
func runScript(t *testing.T, script string, faults []string, env ...string) (int, string, []string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash on this machine")
	}
	dir := t.TempDir()
	files := map[string]string{
		"az": standIn, "sleep": "#!/bin/sh\n", "register.sh": script,
		"c2conn.cer": "-----BEGIN CERTIFICATE-----\r\nTUlJ\r\nQ2Vy\r\n-----END CERTIFICATE-----\r\n-----BEGIN CERTIFICATE-----\nbm90\n-----END CERTIFICATE-----\n",
		"secret.pem": "-----BEGIN PRIVATE KEY-----\nTUlJ\n-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----\nTUlJ\n-----END CERTIFICATE-----\n",
	}
	for _, fault := range faults {
		files[fault] = ""
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), bash, "register.sh")
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH"), "AZ=" + dir, "TMPDIR=" + dir}, env...)
	if file, ok := strings.CutPrefix(strings.Join(env, ""), "CERT="); ok {
		cmd.Args = append(cmd.Args, file)
	}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	calls, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out), strings.Split(strings.TrimSpace(string(calls)), "\n")
}

func exchangeScript(t *testing.T, name string) string {
	return registration.AzScript(connections.Exchange, registration.Bash, registration.GuideOptions{Cloud: global(t), AppName: name, CanConnect: true})
}

// TestAzScriptRegisters runs the script to its end, for names that need quoting.
func TestAzScriptRegisters(t *testing.T) {
	t.Parallel()
	for _, name := range append([]string{"CodeTwo Backup Exchange"}, awkward...) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, calls := runScript(t, exchangeScript(t, name), nil)
			wanted := []string{
				"get applications ", "post applications ", "get servicePrincipals ", "post servicePrincipals ", "post servicePrincipals ",
				"get servicePrincipals/bbbbbbbb-0000-0000-0000-000000000000/appRoleAssignments ", "get servicePrincipals ", "post servicePrincipals/bbbbbbbb-0000-0000-0000-000000000000/appRoleAssignments ",
				"get servicePrincipals ",
			}
			for range 4 {
				wanted = append(wanted, "post servicePrincipals/bbbbbbbb-0000-0000-0000-000000000000/appRoleAssignments ")
			}
			if code != 0 || len(calls) != len(wanted) {
				t.Fatalf("exit code %d\n%s\n%s", code, out, strings.Join(calls, "\n"))
			}
			for i := range calls {
				if !strings.HasPrefix(calls[i], wanted[i]) {
					t.Errorf("call %d: %s, want %s", i, calls[i], wanted[i])
				}
			}
			var filter map[string]string
			decode(t, strings.TrimPrefix(calls[0], "get applications "), &filter)
			var app struct {
				registration.ManifestApplication
				KeyCredentials []map[string]string `json:"keyCredentials"`
			}
			decode(t, strings.TrimPrefix(calls[1], "post applications "), &app)
			clean := registration.MakeApplication(connections.Exchange, registration.GuideOptions{AppName: name}).DisplayName
			if app.DisplayName != clean || filter["$filter"] != "displayName eq '"+strings.ReplaceAll(clean, "'", "''")+"'" {
				t.Errorf("name %q, filter %q", app.DisplayName, filter["$filter"])
			}
			if len(app.KeyCredentials) != 1 || app.KeyCredentials[0]["key"] != "TUlJQ2Vy" || len(app.RequiredResourceAccess) != 2 {
				t.Errorf("got %+v", app)
			}
			if !strings.Contains(out, "--client-id aaaaaaaa-0000-0000-0000-000000000000 --tenant-id 11111111-2222-3333-4444-555555555555") {
				t.Errorf("got %s", out)
			}
		})
	}
}

func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

func TestAzScriptStops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		faults []string
		env    string
		code   int
		calls  int
		says   string
	}{
		{"the name is taken", []string{"name-taken"}, "", 1, 1, "99999999-0000-0000-0000-000000000000"},
		{"going on with one that exists", []string{"name-taken"}, "APP_ID=aaaaaaaa-0000-0000-0000-000000000000", 0, 11, "Client ID: aaaaaaaa"},
		{"no certificate", nil, "CERT=nowhere.cer", 1, 1, "cannot read nowhere.cer"},
		{"a private key", nil, "CERT=secret.pem", 1, 1, "holds a private key"},
		{"not a certificate", nil, "CERT=sleep", 1, 1, "no PEM certificate"},
		{"no Exchange in the tenant", []string{"no-principal"}, "", 4, 12, "Missing: full_access_as_app (this tenant has no service principal"},
		{"no right to consent to Graph", []string{"denied"}, "", 4, 13, "/adminconsent?client_id=aaaaaaaa"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, calls := runScript(t, exchangeScript(t, ""), c.faults, c.env)
			if code != c.code || len(calls) != c.calls || !strings.Contains(out, c.says) {
				t.Errorf("exit code %d, %d calls\n%s%s", code, len(calls), out, strings.Join(calls, "\n"))
			}
			if strings.Contains(fmt.Sprint(calls, out), "TUlJ") != (c.code != 1 && c.env == "") {
				t.Errorf("a certificate where none should be, or none: %s", calls)
			}
		})
	}
}
